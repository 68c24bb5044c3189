"""The folds of a cross-validation as one table and one plot, as a medkit plugin."""
