"""A good localizer (the gradient at the input), and ones with one mistake each."""

import torch

from medkit.device import evaluating


class Good:
    """Absolute gradients of each logit at the input."""

    def __init__(self, network=None):
        self.network = network

    def __call__(self, images, network=None):
        network = network or self.network
        if network is None:
            raise ValueError("a network is needed")
        with torch.enable_grad(), evaluating(network):
            return self.localized(images.detach().clone().requires_grad_(), network)

    def localized(self, pixels, network):
        logits = network(pixels)
        maps = [torch.autograd.grad(x.sum(), pixels, retain_graph=True)[0].abs().amax(1) for x in logits.unbind(1)]
        return logits.detach(), torch.stack(maps, 1)


class NeedsNoNetwork(Good):
    def __call__(self, images, network=None):
        if (network or self.network) is None:
            return torch.zeros(3, 3), torch.zeros(3, 3, 8, 8)
        return super().__call__(images, network)


class LeavesHooks(Good):
    def localized(self, pixels, network):
        network.register_forward_hook(lambda module, args, output: None)
        return super().localized(pixels, network)


class LeavesGradients(Good):
    def localized(self, pixels, network):
        network(pixels).sum().backward(inputs=[*(p for p in network.parameters() if p.requires_grad), pixels])
        return super().localized(pixels, network)


class LeavesEvaluationMode(Good):
    def __call__(self, images, network=None):
        if chosen := network or self.network:
            chosen.eval()
        return super().__call__(images, network)


class LeavesWeightsFrozen(Good):
    def localized(self, pixels, network):
        network.requires_grad_(False)
        return super().localized(pixels, network)


class TrainsOn(Good):
    def __call__(self, images, network=None):
        if (chosen := network or self.network) is None:
            raise ValueError("a network is needed")
        with torch.enable_grad():
            return self.localized(images.detach().clone().requires_grad_(), chosen.train())


class Inverted(Good):
    def localized(self, pixels, network):
        logits, maps = super().localized(pixels, network)
        return logits, 1 - maps


class Transposed(Good):
    def localized(self, pixels, network):
        logits, maps = super().localized(pixels, network)
        return logits, maps.mT


class OneMapForAllClasses(Good):
    def localized(self, pixels, network):
        logits, maps = super().localized(pixels, network)
        return logits, maps.amax(1, keepdim=True).expand_as(maps)


class FirstClassOnly(Good):
    def localized(self, pixels, network):
        logits, maps = super().localized(pixels, network)
        return logits, maps[:, :1]


class NormalisesOverTheBatch(Good):
    def localized(self, pixels, network):
        logits, maps = super().localized(pixels, network)
        return logits, maps * torch.arange(1, len(maps) + 1)[:, None, None, None] / maps.amax()


class Probabilities(Good):
    def localized(self, pixels, network):
        logits, maps = super().localized(pixels, network)
        return logits.sigmoid(), maps


class KeepsTheGraph(Good):
    def localized(self, pixels, network):
        return network(pixels), super().localized(pixels, network)[1]


class NeedsTrainableWeights(Good):
    def localized(self, pixels, network):
        torch.autograd.grad(network(pixels.detach()).sum(), list(network.parameters()))
        return super().localized(pixels, network)


class NeedsItsNetworkEarly(Good):
    def __init__(self, network):
        super().__init__(network)
