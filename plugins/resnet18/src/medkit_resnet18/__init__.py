"""ResNet18 with public weights, as a medkit plugin."""
