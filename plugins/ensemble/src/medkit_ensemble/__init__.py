"""One prediction from several models' predictions, as a medkit plugin."""
