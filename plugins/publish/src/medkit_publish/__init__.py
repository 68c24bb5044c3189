"""A trained bundle for others, as a medkit plugin."""
