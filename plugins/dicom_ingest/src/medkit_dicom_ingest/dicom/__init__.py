"""DICOM data sets to displayed images (PS3.3, PS3.5)."""
