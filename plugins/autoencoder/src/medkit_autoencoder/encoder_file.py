"""The pretrained encoder as a weights file of the classifier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from torch import nn

from medkit import contracts as c
from medkit.card import write_card
from medkit.checkpoint import LearntFrom
from medkit.device import unwrapped
from medkit.errors import ConfigError
from medkit.files import whole
from medkit_autoencoder.network import AutoEncoder


class EncoderFile:
    """Ignite handler: when training completes, write the encoder of the network ``autoencoder``, and a card.

    The file holds all of the classifier but its head, under the classifier's own keys: give it as the classifier's
    ``weights`` with a new head. Put it before `medkit.Checkpoints`, whose ``final`` says that training is complete.

    Args:
        network: `medkit_autoencoder.network.AutoEncoder`, as it is or data-parallel.
        path: of the weights file, e.g. ``encoder.pt``; the card lies beside it.
        data: the samples that it learns from; the card says how many, and whether they are synthetic.

    Raises:
        ConfigError: another network.

    Example:
        ```yaml
        handlers:
        - {_target_: medkit.handler, component: encoder_file, network: "@network",
           path: "$@output_dir + '/pretrain/encoder.pt'", data: "@train#dataset#data"}
        ```
    """

    def __init__(self, network: nn.Module, path: str, data: Sequence[c.Sample]) -> None:
        inner = unwrapped(network)
        if not isinstance(inner, AutoEncoder):
            found = type(inner).__name__
            raise ConfigError(f"handler encoder_file: the network is {found}: give the network autoencoder")
        self.network = inner
        self.path = Path(path)
        self.learnt_from = LearntFrom(data)

    def attach(self, engine: Engine) -> None:
        """Register with the trainer."""
        self.learnt_from.attach(engine)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def write(self, engine: Engine) -> None:
        """Write the file and its card."""
        facts = self.learnt_from.facts(engine)
        if idist.get_rank() != 0:
            return
        with whole(self.path) as temporary:
            torch.save(self.network.encoder_state(), temporary)
        source = "encoder of an auto-encoder, trained on images without labels"
        write_card(self.path, source=source, epoch=engine.state.epoch, **facts)
