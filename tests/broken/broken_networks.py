"""A good network, and ones with one mistake each."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Good(nn.Module):
    """Logits (B,K) from images (B,C,H,W)."""

    def __init__(self, in_channels, out_channels, spatial_dims=2):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(in_channels, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.LeakyReLU())
        self.head = nn.Linear(4, out_channels)

    def forward(self, images):
        return self.head(self.features(images).mean((2, 3)))


class GoodSegmentation(nn.Module):
    """Logits (B,K,H,W) from images (B,C,H,W)."""

    def __init__(self, in_channels, out_channels, spatial_dims=2):
        super().__init__()
        self.head = nn.Conv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, images):
        return self.head(images)


class Probabilities(Good):
    def forward(self, images):
        return super().forward(images).sigmoid()


class LogProbabilities(Good):
    def forward(self, images):
        return super().forward(images).log_softmax(1)


class Transposed(GoodSegmentation):
    def forward(self, images):
        return super().forward(images).mT


class ClassAxisDropped(Good):
    def forward(self, images):
        return super().forward(images).squeeze(1)


class OneChannelOnly(Good):
    def __init__(self, in_channels, out_channels, spatial_dims=2):
        super().__init__(1, out_channels, spatial_dims)


class DoublePrecision(Good):
    def forward(self, images):
        return super().forward(images).double()


class OwnRandomWeights(Good):
    def __init__(self, in_channels, out_channels, spatial_dims=2):
        super().__init__(in_channels, out_channels, spatial_dims)
        drawn = np.random.default_rng().normal(size=(out_channels, 4))
        self.head.weight = nn.Parameter(torch.tensor(drawn, dtype=torch.float32))


class BatchStatistics(Good):
    def forward(self, images):
        logits = super().forward(images)
        return logits - logits.mean(0)


class SquareOnly(Good):
    def forward(self, images):
        rows = images.shape[2]
        return super().forward(images.reshape(-1, images.shape[1], rows, rows))


class Detached(Good):
    def forward(self, images):
        return super().forward(images).detach()


class InputDetached(Good):
    def forward(self, images):
        return super().forward(images.detach())


class UnusedLayer(Good):
    def __init__(self, in_channels, out_channels, spatial_dims=2):
        super().__init__(in_channels, out_channels, spatial_dims)
        self.forgotten = nn.Linear(4, 4)


class WeightsOutsideTheState(Good):
    def __init__(self, in_channels, out_channels, spatial_dims=2):
        super().__init__(in_channels, out_channels, spatial_dims)
        self.offset = torch.randn(out_channels)

    def forward(self, images):
        return super().forward(images) + self.offset.to(images.device)


class DropsInEvaluation(Good):
    def forward(self, images):
        return self.head(functional.dropout(self.features(images).mean((2, 3)), 0.5, training=True))


class ChangesItsImages(Good):
    def forward(self, images):
        if images.requires_grad:
            return super().forward(images - 0.5)
        return super().forward(images.clamp_(0.3, 0.6))


class CountsItsCalls(Good):
    def __init__(self, in_channels, out_channels, spatial_dims=2):
        super().__init__(in_channels, out_channels, spatial_dims)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, images):
        self.calls += 1
        return super().forward(images)


class ConstantsOnTheCpu(Good):
    def forward(self, images):
        return super().forward(images) + torch.full((self.head.out_features,), 0.1)


class HoldsALambda(Good):
    def __init__(self, in_channels, out_channels, spatial_dims=2):
        super().__init__(in_channels, out_channels, spatial_dims)
        self.scale = lambda x: 2 * x
