"""Classifier gating, as a medkit plugin: where a classifier sees nothing, the segmentation is empty."""
