"""A bundle's learning rate, weight decay and the like, searched with Optuna, as a medkit plugin."""
