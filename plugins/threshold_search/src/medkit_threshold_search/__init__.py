"""Calibrated probabilities and exact operating points, as a medkit plugin."""
