"""Heat maps to bounding boxes in original pixels, as a medkit plugin."""
