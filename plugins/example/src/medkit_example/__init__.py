"""Saliency maps from the input gradient, as a medkit plugin."""
