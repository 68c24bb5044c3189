"""UNet and segmentation losses as a medkit plugin."""
