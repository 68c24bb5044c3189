"""Training images chosen by what they show, as a medkit plugin."""
