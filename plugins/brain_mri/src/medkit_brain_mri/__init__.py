"""Brain MRI with and without tumour, as a medkit plugin."""
