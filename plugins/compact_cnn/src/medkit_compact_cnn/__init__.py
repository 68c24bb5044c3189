"""A compact CNN as a medkit plugin."""
