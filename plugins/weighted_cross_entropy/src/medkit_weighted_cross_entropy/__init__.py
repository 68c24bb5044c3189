"""Weighted multi-label cross entropy, as a medkit plugin."""
