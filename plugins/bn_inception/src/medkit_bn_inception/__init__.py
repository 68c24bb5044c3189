"""BN-Inception with public weights, as a medkit plugin."""
