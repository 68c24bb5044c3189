"""Self-training as a medkit plugin."""
