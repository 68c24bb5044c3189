"""Average-image normalisation as a medkit plugin."""
