"""DenseNet121 with public checkpoints, as a medkit plugin."""
