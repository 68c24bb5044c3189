"""Age, sex and other facts beside the image, as a medkit plugin."""
