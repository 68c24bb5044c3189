"""Volumes (NIfTI, MetaImage, NRRD) to slices as radiologists look at them."""
