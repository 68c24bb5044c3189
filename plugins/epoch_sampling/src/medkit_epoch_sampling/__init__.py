"""Two ways to compose an epoch, as a medkit plugin."""
