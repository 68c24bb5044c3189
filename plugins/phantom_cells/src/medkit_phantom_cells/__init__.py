"""Phantom cells, as a medkit plugin."""
