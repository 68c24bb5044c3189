"""DICOM files and bitmaps as the grey image that a correct viewer shows, as a medkit plugin."""
