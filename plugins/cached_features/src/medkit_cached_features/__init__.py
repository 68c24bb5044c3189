"""Cached features of a frozen encoder, as a medkit plugin."""
