"""A classifier that learns where to look from masks, as a medkit plugin."""
