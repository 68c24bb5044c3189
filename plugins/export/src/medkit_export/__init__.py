"""A bundle's trained network for other programs, as a medkit plugin."""
