"""Boxes by classifying a tree of windows with a beam search, as a medkit plugin."""
