"""One small real part of each kind, as a medkit plugin."""
