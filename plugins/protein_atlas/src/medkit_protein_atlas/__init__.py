"""Microscopy images in several colours with several classes each, as a medkit plugin."""
