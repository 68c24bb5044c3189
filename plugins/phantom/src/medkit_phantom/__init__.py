"""Phantom chest patients, as a medkit plugin."""
