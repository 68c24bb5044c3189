"""A good sampler, and ones with one mistake each."""

import numpy as np
import torch.distributed
from torch.utils.data import Sampler


class Good(Sampler):
    """Every image with a known label once an epoch, in an order of its own."""

    def __init__(self, labels, *, seed=0):
        self.known = np.flatnonzero(~np.isnan(labels).all(axis=1))[:48]
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def draw(self, seed):
        return np.random.default_rng(seed).permutation(self.known)

    def place(self):
        if torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return 0, 1

    def __len__(self):
        return len(self.known) // self.place()[1]

    def __iter__(self):
        rank, ranks = self.place()
        return iter(self.draw([self.seed, self.epoch])[rank::ranks].tolist())


class OwnCounter(Good):
    def __iter__(self):
        found = super().__iter__()
        self.epoch += 1
        return found


class CountsFromOne(Good):
    def draw(self, seed):
        return super().draw(seed) * 2


class GlobalRandom(Good):
    def draw(self, seed):
        np.random.seed(np.random.randint(1000) + seed[1])
        return np.random.permutation(self.known)


class SameEveryEpoch(Good):
    def draw(self, seed):
        return super().draw(self.seed)


class IgnoresItsSeed(Good):
    def draw(self, seed):
        return super().draw(self.epoch)


class EachProcessItsOwnDraw(Good):
    def draw(self, seed):
        return super().draw([*seed, self.place()[0]])


class SaysAnotherLength(Good):
    def __len__(self):
        return super().__len__() + 1


class DrawsUnknownImages(Good):
    def __init__(self, labels, *, seed=0):
        super().__init__(labels, seed=seed)
        self.known = np.arange(len(labels))


class HoldsALambda(Good):
    def __init__(self, labels, *, seed=0):
        super().__init__(labels, seed=seed)
        self.key = lambda n: n
