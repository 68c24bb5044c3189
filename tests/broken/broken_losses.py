"""A good loss, and ones with one mistake each."""

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy, logsigmoid


class Good(nn.Module):
    """Mean binary cross entropy of the known labels."""

    def __init__(self):
        super().__init__()

    def forward(self, logits, target):
        logits, known = logits.float(), ~target.isnan()
        each = self.each(logits, torch.where(known, target, 0))
        return torch.where(known, each, 0).sum() / known.sum().clamp(min=1)

    def each(self, logits, target):
        return -(target * logsigmoid(logits) + (1 - target) * logsigmoid(-logits))


class TakesProbabilities(Good):
    def each(self, logits, target):
        return binary_cross_entropy(logits.clamp(0, 1), target, reduction="none")


class OnePerImage(Good):
    def forward(self, logits, target):
        return super().each(logits.float(), target.nan_to_num(0)).mean(1)


class Overflows(Good):
    def each(self, logits, target):
        return -(target * logits.sigmoid().log() + (1 - target) * (1 - logits.sigmoid()).log())


class SpreadsNan(Good):
    def forward(self, logits, target):
        return self.each(logits.float(), target).mean()


class TakesUnknownForAbsent(Good):
    def forward(self, logits, target):
        return super().forward(logits, target.nan_to_num(0))


class DividesByNothing(Good):
    def forward(self, logits, target):
        known = ~target.isnan()
        return torch.where(known, self.each(logits.float(), torch.where(known, target, 0)), 0).sum() / known.sum()


class ChangesItsTarget(Good):
    def forward(self, logits, target):
        loss = super().forward(logits, target)
        target.nan_to_num_(0)
        return loss


class Detached(Good):
    def forward(self, logits, target):
        return super().forward(logits.detach(), target)


class MixesPrecisions(Good):
    def forward(self, logits, target):
        known = ~target.isnan()
        ones, zeros = torch.where(known, target, 0), torch.where(known, 1 - target, 0)
        right = torch.einsum("bk,bk->", ones, logsigmoid(logits)) + torch.einsum("bk,bk->", zeros, logsigmoid(-logits))
        return -right / known.sum().clamp(min=1)


class ConstantsOnTheCpu(Good):
    def forward(self, logits, target):
        return super().forward(logits * torch.ones(logits.shape[-1]), target)
