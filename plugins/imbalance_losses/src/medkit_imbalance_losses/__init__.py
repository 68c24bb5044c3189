"""Losses and class weights for labels of which some are rare, as a medkit plugin."""
