"""A GAN on MONAI's engine and the images that it makes, as a medkit plugin."""
