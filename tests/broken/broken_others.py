"""Good and bad transforms, handlers and commands."""

import random

import click
import torch
from monai.transforms import MapTransform, RandomizableTransform


class GoodTransform(MapTransform, RandomizableTransform):
    """Brightens images at random."""

    def __init__(self, keys):
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self)

    def __call__(self, sample):
        return {**sample, **{key: sample[key] + self.draw() for key in self.key_iterator(sample)}}

    def draw(self):
        return float(self.R.random())


class HoldsALambda(GoodTransform):
    def __init__(self, keys):
        super().__init__(keys)
        self.factor = lambda: 2


class ModifiesItsSample(GoodTransform):
    def __call__(self, sample):
        for key in self.key_iterator(sample):
            sample[key] += self.draw()
        return sample


class GlobalRandom(GoodTransform):
    def draw(self):
        return float(torch.rand(()) + random.random())


class GoodHandler:
    """Attaches nothing."""

    def attach(self, engine):
        """Do nothing."""


class NeitherAttachedNorRun:
    """Does nothing."""


class SwallowsOptions(GoodHandler):
    def __init__(self, **options):
        self.options = options


class Undocumented:
    def run(self):
        pass


@click.command()
@click.option("--name", help="Of a patient.")
def good_command(name):
    """Greet."""


@click.command()
@click.option("--name")
def silent_option(name):
    """Greet."""


def not_a_command():
    """Greet."""
