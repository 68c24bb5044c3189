"""Augmentation while training and beforehand, and centre crops, as a medkit plugin."""
