"""A small VGG and a two-layer CNN as a medkit plugin."""
