"""Breast ultrasound images with masks, as a medkit plugin."""
