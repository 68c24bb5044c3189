"""Sampling with equal class frequency, as a medkit plugin."""
