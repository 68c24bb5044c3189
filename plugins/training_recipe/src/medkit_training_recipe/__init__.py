"""Training details by name, as a medkit plugin."""
