"""Class activation maps: a layer's maps, summed with one weight a class and channel."""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

import torch
from torch import nn

from medkit.device import evaluating
from medkit.errors import ConfigError
from medkit_grad_cam.gradients import Pass, forward
from medkit_grad_cam.layer import last_map_layer, layer_by_name


class GradCam:
    """Maps of all classes by Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2), in one pass.

    ``map[k] = ReLU(Σ_c mean_ij(d logit_k / d A_c[i, j]) · A_c)`` with the layer's maps A. Higher means more evidence;
    the maps are not normalised, so they can be compared between images.

    Where the logits are a linear layer of the average map, this costs one forward pass; elsewhere one batched backward
    pass from the logits to the layer is added. The network runs in evaluation mode and is left as it was: modes,
    gradients, ``requires_grad``, hooks.

    Args:
        network: gives logits (B,K) from images (B,C,H,W). May also be passed with each call, as a MONAI Inferer is.
        target_layer: name of the layer whose maps are explained, as in ``network.named_modules()``, for instance
            ``features.denseblock3``. Default: the last one that makes spatial maps, before any pooling.

    Example:
        ```yaml
        inferer: {_target_: medkit.localizer, component: grad_cam}
        ```
    """

    def __init__(self, network: nn.Module | None = None, *, target_layer: str | None = None) -> None:
        self.network = network
        self.target_layer = target_layer
        self._last_layers: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()

    def __call__(self, images: torch.Tensor, network: nn.Module | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (B,K) and maps (B,K,h,w), float32, maps ≥ 0, without gradients.

        Args:
            images: (B,C,H,W) float.
            network: takes the place of the one given at construction; may be wrapped for distributed training.

        Raises:
            ConfigError: there is no network, it is no classifier, or ``target_layer`` is not one of its layers.
        """
        network = self.network if network is None else network
        if network is None:
            raise ConfigError("class activation maps need a network: pass it here or at construction")
        network = _unwrapped(network)
        images = images.detach().as_subclass(torch.Tensor)
        with torch.inference_mode(False), evaluating(network):
            images = images.clone() if images.is_inference() else images
            done = forward(network, self._layer(network, images), images)
            with torch.autocast(images.device.type, enabled=False):
                weights = torch.cat(list(self._weights(done)))
                maps = torch.einsum("kbc,bc...->bk...", weights.expand(-1, len(images), -1), done.maps).relu()
        return done.logits.detach().float(), maps.float()

    def _layer(self, network: nn.Module, images: torch.Tensor) -> nn.Module:
        if self.target_layer is not None:
            return layer_by_name(network, self.target_layer)
        if network not in self._last_layers:
            self._last_layers[network] = last_map_layer(network, images[:1])
        return layer_by_name(network, self._last_layers[network])

    def _weights(self, done: Pass) -> Iterator[torch.Tensor]:
        """Yield the weights of the channels, (k,B,C) or (k,1,C), some classes at a time."""
        for gradient in done.gradients():
            yield gradient.mean(tuple(range(3, gradient.ndim)))


class GradCamPlusPlus(GradCam):
    """Maps of all classes by Grad-CAM++ (Chattopadhay et al. 2018, arXiv:1710.11063, equations 5 and 19), in one pass.

    ``weight_kc = Σ_ij α_ij · ReLU(g_ij)`` with ``g = d logit_k / d A_c`` and
    ``α_ij = g_ij² / (2·g_ij² + g_ij³ · Σ_ab A_ab)``, that is ``Σ_ij ReLU(g_ij) / (2 + g_ij · Σ_ab A_ab)``.

    Departures: the factor exp(logit), which the paper's choice of score brings in, is left out: it overflows and
    changes no map's shape. Negative values of A count as 0 in the sum, as after the ReLU that the paper assumes.

    For the arguments, the call and an example see `GradCam`.
    """

    def _weights(self, done: Pass) -> Iterator[torch.Tensor]:
        spatial = tuple(range(2, done.features.ndim))
        total = done.maps.relu().sum(spatial, keepdim=True)
        cells = done.features.shape[2:].numel()
        for gradient in done.gradients():
            share = gradient.relu() / (2 + gradient.relu() * total)
            yield cells * share.mean(tuple(range(3, gradient.ndim)))


class Cam(GradCam):
    """Maps of all classes by CAM (Zhou et al. 2016, arXiv:1512.04150, equation 2), in one forward pass.

    ``map[k] = ReLU(Σ_c w_kc · A_c)`` with the weights w of the linear layer that follows the global average of A: h·w
    times Grad-CAM's map. The paper keeps negative evidence; here, as in Grad-CAM, it is 0.

    For the arguments, the call and an example see `GradCam`.

    Raises:
        ConfigError: on call, the logits are not a linear layer of the global average of the layer's maps.
    """

    def _weights(self, done: Pass) -> Iterator[torch.Tensor]:
        weight = done.pooled_head()
        if weight is None:
            raise ConfigError(
                "cam needs logits that are one linear layer of the global average of target_layer's maps, and found "
                "another head: use grad_cam"
            )
        yield weight[:, None]


def _unwrapped(network: nn.Module) -> nn.Module:
    """Return the module inside ``DistributedDataParallel``, ``DataParallel`` and ``torch.compile``."""
    while True:
        if isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel):
            network = network.module
        elif "_orig_mod" in network._modules:
            network = network._orig_mod
        else:
            return network
