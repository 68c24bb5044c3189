"""Seeds, processes and devices: what a stage sets up before anything else."""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ignite.distributed as idist
import torch
from monai.utils import set_determinism
from torch import nn


def setup(seed: int = 0) -> None:
    """Seed everything and, under torchrun, join the process group; the first entry of every ``initialize``.

    Without the group, torchrun's ranks would each train a model of their own without a word.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and idist.get_world_size() == 1:
        idist.initialize("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(_leave)
    set_determinism(seed)


def _leave() -> None:
    """End the process group's threads while Python still runs.

    A data-parallel network keeps its group, and so gloo's threads, alive beyond ``ignite.distributed.finalize``; one of
    them that lets go of a tensor while the interpreter shuts down aborts the process (PyTorch pull request 179291).
    """
    if idist.get_world_size() > 1:
        idist.finalize()
    gc.collect()


def on_device(network: nn.Module, device: torch.device | str) -> nn.Module:
    """Return the network on its device, wrapped for data parallelism where there are several processes."""
    network.to(device)
    if idist.get_world_size() == 1:
        return network
    ids = [torch.device(device)] if torch.device(device).type == "cuda" else None
    return nn.parallel.DistributedDataParallel(network, device_ids=ids)


def use_amp(device: torch.device | str) -> bool:
    """Return whether MONAI's engines can use mixed precision here: on CUDA."""
    return torch.device(device).type == "cuda"


def unwrapped(network: nn.Module) -> nn.Module:
    """Return the network inside a data-parallel wrapper, or the network itself."""
    inner: Any = getattr(network, "module", None)
    return inner if isinstance(network, nn.parallel.DistributedDataParallel) else network


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put every module in evaluation mode, and each one back as it was; MONAI's ``eval_mode`` puts all in training."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
