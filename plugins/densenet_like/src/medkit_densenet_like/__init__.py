"""A small network for multi-channel microscopy, as a medkit plugin."""
