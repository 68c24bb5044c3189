"""Label statistics of a data set, and what the layers of a network see, as a medkit plugin."""
