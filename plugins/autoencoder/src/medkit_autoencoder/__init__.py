"""Auto-encoder pretraining as a medkit plugin."""
