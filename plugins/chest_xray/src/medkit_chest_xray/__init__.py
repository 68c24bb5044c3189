"""Chest X-ray data sets, as a medkit plugin."""
