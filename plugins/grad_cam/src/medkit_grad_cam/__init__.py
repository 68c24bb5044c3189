"""Class activation maps of all classes in one pass, as a medkit plugin."""
