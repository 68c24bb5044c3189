"""Load public DenseNet checkpoints: whole, under one set of keys, or not at all."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets import densenet
from torch import nn

from medkit.card import Card, read_card
from medkit.errors import CheckpointError, ConfigError
from medkit_densenet121.scaling import mean_and_deviation

FIRST = "features.conv0.weight"
HEAD = ("classifier.weight", "classifier.bias")

IMAGENET = Card(
    sha256="", input_scaling={"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}, source="torchvision"
)

RENAMED = [
    (re.compile(r"(denselayer\d+)\.layers\."), r"\1."),  # MONAI
    (re.compile(r"\.(norm|conv)\.([12])\."), r".\1\2."),  # torchvision before 0.3: ImageNet, CheXNet
    (re.compile(r"^class_layers\.out\."), "classifier."),  # MONAI
    (re.compile(r"^classifier\.0\."), "classifier."),  # CheXNet: Sequential(Linear, Sigmoid)
]


def load_weights(
    network: nn.Module,
    weights: str | Path,
    *,
    labels: Sequence[str] | None = None,
    head: str = "strict",
    first_layer: str = "strict",
) -> None:
    """Fill ``network`` from a checkpoint: every key of it, or an error that lists what differs.

    Accepted are a plain state dict and one inside a checkpoint (``state_dict``, ``model``, …), with torchvision's keys
    old or new, MONAI's, CheXNet's (``module.densenet121.…``, ``classifier.0``) or TorchXRayVision's (``op_threshs`` is
    left out). Files are read as tensors only and execute nothing.

    Args:
        network: a `medkit_densenet121.network.DenseNet121`.
        weights: the file, or ``imagenet`` for torchvision's, downloaded by MONAI into torch's cache. The classes of
            ImageNet are no findings, so its head is always left out.
        labels: the findings in the order of the network's outputs. With a card that names the file's, the rows of the
            head are chosen by name.
        head: ``strict``: the file's head is loaded and must fit; ``new``: keep the network's own.
        first_layer: ``strict``, or ``sum``: a first convolution of several channels is summed into one, or one of a
            single channel is divided among several; either keeps the response to grey images.

    Raises:
        ConfigError: ``head`` or ``first_layer`` has another value.
        CheckpointError: the file is missing, not readable as tensors, of another network, or not what its card says.
    """
    for option, value, known in (("head", head, ("strict", "new")), ("first_layer", first_layer, ("strict", "sum"))):
        if value not in known:
            raise ConfigError(f'densenet121: {option} "{value}" is not known: choose one of {", ".join(known)}')
    if str(weights) == "imagenet":
        name, state, card, head = "weights imagenet", _imagenet(), IMAGENET, "new"
    else:
        path = Path(weights).expanduser()
        name = f'weights "{path}"'
        if not path.is_file():
            raise CheckpointError(f'{name}: no such file: give the path of a checkpoint, "imagenet", or none')
        card = read_card(path)
        state = _state_dict(_read(path, name), name)

    wanted = network.state_dict()
    wanted.pop("input_scaling", None)
    scaling = state.pop("input_scaling", mean_and_deviation(None if card is None else card.input_scaling))
    if head == "new":
        state = {key: value for key, value in state.items() if key.startswith("features.")}
        state |= {key: wanted[key] for key in HEAD}
    else:
        _match_head(state, len(wanted[HEAD[0]]), labels, card, name)
    if first_layer == "sum":
        state[FIRST] = _summed(state[FIRST], wanted[FIRST].shape[1])
    _compare(state, wanted, name)
    if scaling is not None:
        state["input_scaling"] = _per_channel(scaling, wanted[FIRST].shape[1], name)
    network.load_state_dict(state)


def _read(path: Path, name: str) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"Python objects ({found[1]})" if found else "something else than tensors"
        raise CheckpointError(
            f"{name} hold {what}, which could execute anything: where they come from, save the tensors alone with "
            "torch.save(model.state_dict(), FILE)"
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise CheckpointError(f"{name} are not a readable PyTorch file: fetch them again") from error


def _imagenet() -> dict[str, torch.Tensor]:
    try:
        published = densenet.DenseNet121(spatial_dims=2, in_channels=3, out_channels=1000, pretrained=True)
    except (OSError, RuntimeError) as error:  # no network; a download whose hash is wrong
        raise CheckpointError(
            f"weights imagenet could not be downloaded ({error}): fetch torchvision's densenet121 elsewhere and give "
            "its path"
        ) from error
    return _state_dict(published.state_dict(), "weights imagenet")


def _state_dict(content: Any, name: str) -> dict[str, torch.Tensor]:
    """Return the tensors of the one DenseNet in ``content``, under torchvision's keys."""
    levels = [content, *content.values()] if isinstance(content, Mapping) else []
    found = [(level, key) for level in levels if isinstance(level, Mapping) for key in level if _is_first(key)]
    if len(found) != 1:
        what = "no DenseNet" if not found else f"{len(found)} DenseNets ({_some(key for _, key in found)})"
        raise CheckpointError(f"{name} hold {what}: a state dict with one key that ends in {FIRST} is wanted")
    level, first = found[0]
    prefix = first.removesuffix(FIRST)
    state = {}
    for key, value in level.items():
        key = key.removeprefix(prefix)
        for pattern, replacement in RENAMED:
            key = pattern.sub(replacement, key)
        state[key] = value
    state.pop("op_threshs", None)
    return state


def _is_first(key: Any) -> bool:
    return isinstance(key, str) and (key == FIRST or key.endswith("." + FIRST))


def _match_head(
    state: dict[str, torch.Tensor], outputs: int, labels: Sequence[str] | None, card: Card | None, name: str
) -> None:
    """Bring the rows of the file's head into the order of the network's outputs, by name where both are known."""
    if not all(key in state for key in HEAD):
        return  # the comparison of keys reports it
    known, held = (card.labels if card else None), len(state[HEAD[0]])
    if known is not None and len(known) != held:
        raise CheckpointError(f"{name} have {held} outputs, their card names {len(known)} labels: mend the card")
    if known is not None and labels is not None:
        if lacking := [label for label in labels if label not in known]:
            raise CheckpointError(
                f"{name} do not know {_some(lacking)}; they know {', '.join(filter(None, known))}: "
                "drop the finding, or train a new head with head: new"
            )
        rows = torch.tensor([known.index(label) for label in labels])
        state.update({key: state[key][rows] for key in HEAD})
        return
    if held != outputs:
        raise CheckpointError(f"{name} have {held} outputs, the network {outputs}: train a new head with head: new")
    warnings.warn(
        f"{name}: which finding each of the {held} outputs means is not verified: "
        f"{'give labels' if known is not None else 'write a card with the labels beside the file (write_card)'}",
        stacklevel=4,
    )


def _summed(first: torch.Tensor, channels: int) -> torch.Tensor:
    if channels == 1:
        return first.sum(1, keepdim=True)
    return first if first.shape[1] != 1 else (first / channels).repeat(1, channels, *[1] * (first.ndim - 2))


def _per_channel(scaling: torch.Tensor, channels: int, name: str) -> torch.Tensor:
    """Return (2,C); for one grey channel in place of several, their average."""
    if channels == 1:
        return scaling.mean(1, keepdim=True)
    if scaling.shape[1] not in (1, channels):
        raise CheckpointError(f"{name}: input scaling of {scaling.shape[1]} channels, the network takes {channels}")
    return scaling.expand(2, channels).clone()


def _compare(state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], name: str) -> None:
    """Raise an error that says what differs; ``num_batches_tracked``, which old files lack, does not count."""
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in wanted]
    reshaped = [
        f"{key}: file {'×'.join(map(str, state[key].shape))}, network {'×'.join(map(str, wanted[key].shape))}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    report = [
        f"{len(keys)} {what} ({_some(keys)})"
        for keys, what in ((missing, "missing"), (unexpected, "unexpected"), (reshaped, "of another shape"))
        if keys
    ]
    if report:
        channels = reshaped and reshaped[0].startswith(FIRST) and {1} & {state[FIRST].shape[1], wanted[FIRST].shape[1]}
        do = "set first_layer: sum to load other channels" if channels else "build the network that the file is of"
        raise CheckpointError(f"{name} do not fit this network: keys {'; '.join(report)}: {do}")


def _some(names: Iterable[str], most: int = 4) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
