"""VGG16 and VGG19 with public weights, as a medkit plugin."""
