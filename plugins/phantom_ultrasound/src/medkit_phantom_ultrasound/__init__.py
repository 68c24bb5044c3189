"""Phantom breast ultrasound, as a medkit plugin."""
