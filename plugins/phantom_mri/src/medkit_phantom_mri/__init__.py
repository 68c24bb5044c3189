"""Phantom brain MRI, as a medkit plugin."""
