"""Finished runs as one table and one plot, as a medkit plugin."""
