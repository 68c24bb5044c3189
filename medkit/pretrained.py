"""Start a network from a public weights file: whole, under its family's own keys, or not at all.

A plugin says how its family is published (`Published`), calls `load_pretrained` at the end of its constructor and
`scale_input` at the beginning of its forward pass.
"""

from __future__ import annotations

import os
import pickle
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import nn

from medkit.card import Card, read_card
from medkit.errors import CheckpointError, ConfigError
from medkit.files import WRITES_BELOW

STARTED_FROM = "started_from"
"""Attribute of a network that has loaded weights: what `medkit.Checkpoints` writes into the card as their source."""
COLOURS = ("copy_red", "copy_green", "copy_blue")
FIRST_LAYERS = ("strict", "sum", "average", *COLOURS)

IMAGENET = Card(
    sha256="", input_scaling={"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}, source="torchvision"
)


@dataclass(frozen=True, slots=True)
class Published:
    """How the weights of one family of networks are published.

    Attributes:
        family: its name, for errors.
        first: key of the first convolution's weight, (maps, C, …).
        last: keys of the last linear layer's weight and bias.
        body: what the keys of all but the head begin with.
        imagenet: returns the published ImageNet weights; raises OSError or RuntimeError where it cannot.
        card: of those weights: the input that they expect and who publishes them.
        anchor: a key that no other key of the network ends in; None: ``first`` is one.
        renamed: patterns and replacements that bring other spellings of the keys to the network's own.
        ignored: keys that are left out.
        new_head: the option that asks for a new head, for errors.
    """

    family: str
    first: str
    last: tuple[str, str]
    body: tuple[str, ...]
    imagenet: Callable[[], Mapping[str, torch.Tensor]]
    card: Card = IMAGENET
    anchor: str | None = None
    renamed: Sequence[tuple[re.Pattern[str], str]] = ()
    ignored: Sequence[str] = ()
    new_head: str = "head: new"


def load_pretrained(
    network: nn.Module,
    weights: str | Path | None,
    published: Published,
    *,
    labels: Sequence[str] | None = None,
    head: str = "strict",
    first_layer: str = "strict",
) -> None:
    """Give ``network`` the buffer ``input_scaling``, and fill it from a file: every key, or an error with what differs.

    Accepted are a plain state dict and one inside a checkpoint (``state_dict``, ``model``, …), whose keys may have a
    prefix (``module.``). Files are read as tensors only and execute nothing.

    The buffer is None, and no key, until the card beside a file says which input its network expects. It belongs to
    the state dict from then on, and ``network`` takes it from any state dict that has it.

    Args:
        network: complete, with the keys that the family is published under.
        weights: the file; ``imagenet`` for the published one, whose classes are no findings, so that the head is new;
            None leaves the network as it is.
        published: of the network's family.
        labels: the findings in the order of the network's outputs. With a card that names the file's, the rows of the
            last layer are chosen by name.
        head: ``strict``: the file's head is loaded and must fit; ``new``: keep the network's own last layer, and its
            own hidden layers in front of that unless the file's are all there in the same shapes.
        first_layer: ``strict``: the file's first convolution must fit; or how it is made to:
            ``sum``: one of several channels is summed into one, or one of a single channel is divided among several;
            either keeps the response to grey images.
            ``average``: each channel beyond the file's gets the mean of the file's kernels, which stay as they are. A
            grey image whose channels have the same sum is answered as before: four at three quarters of the value.
            ``copy_red``, ``copy_green``, ``copy_blue``: each gets a copy of the kernel of channel 0, 1 or 2 of three;
            the response stays as large if that kernel is like the mean. Under both, the input scaling of a new channel
            is made as its kernel is.

    Raises:
        ConfigError: ``head`` or ``first_layer`` has another value, or there is not one label an output.
        CheckpointError: the file is missing, not readable as tensors, of another network, or not what its card says.
    """
    for option, value, known in (("head", head, ("strict", "new")), ("first_layer", first_layer, FIRST_LAYERS)):
        if value not in known:
            raise ConfigError(f'{published.family}: {option} "{value}" is not known: choose one of {", ".join(known)}')
    wanted = network.state_dict()
    outputs, channels = len(wanted[published.last[0]]), wanted[published.first].shape[1]
    if labels is not None and len(labels) != outputs:
        raise ConfigError(
            f"{published.family}: {len(labels)} labels for {outputs} out_channels: give one label an output"
        )
    network.register_buffer("input_scaling", None)
    network.register_load_state_dict_pre_hook(_take_input_scaling)
    if weights is None:
        return
    card: Card | None
    if str(weights) == "imagenet":
        name, content, card, head = "weights imagenet", _imagenet(published), published.card, "new"
    else:
        path = Path(weights).expanduser()
        name = f'weights "{path}"'
        if not path.is_file():
            raise CheckpointError(f'{name}: no such file: give the path of a checkpoint, "imagenet", or none')
        card, content = read_card(path), _read(path, name)

    state = _state_dict(content, published, name)
    scaling = state.pop("input_scaling", None)
    if scaling is None and card is not None and card.input_scaling is not None:
        scaling = mean_and_deviation(card.input_scaling)
        if card.input_scaling.get("order") == "BGR" and published.first in state:
            scaling, state[published.first] = scaling.flip(1), state[published.first].flip(1)
    if head == "new":
        state = _with_new_head(state, wanted, published)
    else:
        _match_last(state, outputs, labels, card, published, name)
    if published.first in state:
        first = state[published.first]
        state[published.first] = _fitted(first, channels, first_layer)
        if scaling is not None and scaling.shape[1] == first.shape[1] and first_layer != "sum":
            scaling = _fitted(scaling, channels, first_layer)
    _compare(state, wanted, published, name)
    if scaling is not None:
        state["input_scaling"] = _per_channel(scaling, channels, name)
    network.load_state_dict(state)
    learnt = ", which has learnt from synthetic images" if card is not None and card.synthetic else ""
    setattr(network, STARTED_FROM, f"started from {Path(weights).name}{learnt}")


def scale_input(images: torch.Tensor, scaling: torch.Tensor | None) -> torch.Tensor:
    """Return ``(images − mean) / std`` by the buffer ``input_scaling``, or the images where that is None.

    Args:
        images: (B,C,H,W) or (B,C,H,W,D).
        scaling: (2,C), mean and standard deviation.
    """
    if scaling is None:
        return images
    mean, std = scaling.reshape(2, -1, *[1] * (images.ndim - 2))
    return (images - mean) / std


def mean_and_deviation(input_scaling: Mapping[str, Any]) -> torch.Tensor:
    """Return (2,C or 1) float32: the mean and the standard deviation that the input is normalised with.

    Args:
        input_scaling: `medkit.card.Card.input_scaling`; its ``order``, RGB or BGR, is left to the caller.

    Raises:
        CheckpointError: it says neither ``mean`` and ``std`` nor ``range``, or another order.
    """
    given = dict(input_scaling)
    order = given.pop("order", "RGB")
    if set(given) == {"range"}:
        low, high = map(float, given["range"])
        given = {"mean": -low / (high - low), "std": 1 / (high - low)}
    if set(given) != {"mean", "std"} or order not in ("RGB", "BGR"):
        raise CheckpointError(
            'input_scaling of the card must be {"mean": …, "std": …} or {"range": [low, high]}, with "order": "BGR" '
            "where the first channel is blue"
        )
    mean, std = (torch.tensor(given[key], dtype=torch.float32).reshape(-1) for key in ("mean", "std"))
    return torch.stack(torch.broadcast_tensors(mean, std))


def download(url: str) -> dict[str, torch.Tensor]:
    """Return the state dict behind ``url``, kept in torch's cache and checked against the hash in its name.

    Where writing is confined (`medkit.files.confined`), one that the cache lacks is kept in ``downloads`` there.
    """
    folder, below = Path(torch.hub.get_dir(), "checkpoints"), os.environ.get(WRITES_BELOW)
    if below and not (folder / Path(urlparse(url).path).name).is_file():
        folder = Path(below, "downloads")
    return torch.hub.load_state_dict_from_url(
        url, model_dir=str(folder), map_location="cpu", check_hash=True, weights_only=True
    )


def _take_input_scaling(module: nn.Module, state: Mapping[str, torch.Tensor], prefix: str, *_: Any) -> None:
    """Make room for the input scaling that a state dict has; one without it means none."""
    scaling = state.get(prefix + "input_scaling")
    device = next(module.parameters()).device
    room = None if scaling is None else torch.empty_like(scaling, device=device)
    module.register_buffer("input_scaling", room)


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


def _imagenet(published: Published) -> Mapping[str, torch.Tensor]:
    try:
        return published.imagenet()
    except (OSError, RuntimeError) as error:  # no network; a download whose hash is wrong
        raise CheckpointError(
            f"weights imagenet could not be downloaded ({error}): fetch {published.card.source}'s {published.family} "
            "elsewhere and give its path"
        ) from error


def _state_dict(content: Any, published: Published, name: str) -> dict[str, torch.Tensor]:
    """Return the tensors of the one network of the family in ``content``, under the network's keys."""
    anchor = published.anchor or published.first
    levels = [content, *content.values()] if isinstance(content, Mapping) else []
    keys = [(level, key) for level in levels if isinstance(level, Mapping) for key in level if isinstance(key, str)]
    found = [(level, key) for level, key in keys if key == anchor or key.endswith("." + anchor)]
    if len(found) != 1:
        family = published.family
        what = f"no {family}" if not found else f"{len(found)} {family}s ({_some(key for _, key in found)})"
        raise CheckpointError(f"{name} hold {what}: a state dict with one key that ends in {anchor} is wanted")
    level, key = found[0]
    prefix = key.removesuffix(anchor)
    state = {}
    for key, value in level.items():
        key = key.removeprefix(prefix)
        for pattern, replacement in published.renamed:
            key = pattern.sub(replacement, key)
        state[key] = value
    return {key: value for key, value in state.items() if key not in published.ignored}


def _with_new_head(
    state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], published: Published
) -> dict[str, torch.Tensor]:
    head = {key: value for key, value in wanted.items() if not key.startswith(published.body)}
    hidden = [key for key in head if key not in published.last]
    if all(key in state and state[key].shape == head[key].shape for key in hidden):
        head |= {key: state[key] for key in hidden}
    return {key: value for key, value in state.items() if key.startswith(published.body)} | head


def _match_last(
    state: dict[str, torch.Tensor],
    outputs: int,
    labels: Sequence[str] | None,
    card: Card | None,
    published: Published,
    name: str,
) -> None:
    """Bring the rows of the file's last layer into the order of the outputs, by name where both are known."""
    if not all(key in state for key in published.last):
        return  # the comparison of keys reports it
    known, held = (card.labels if card else None), len(state[published.last[0]])
    if known is not None and len(known) != held:
        raise CheckpointError(f"{name} have {held} outputs, their card names {len(known)} labels: mend the card")
    if known is not None and labels is not None:
        if lacking := [label for label in labels if label not in known]:
            raise CheckpointError(
                f"{name} do not know {_some(lacking)}; they know {', '.join(filter(None, known))}: "
                f"drop the finding, or train a new head with {published.new_head}"
            )
        rows = torch.tensor([known.index(label) for label in labels])
        state.update({key: state[key][rows] for key in published.last})
        return
    if held != outputs:
        raise CheckpointError(
            f"{name} have {held} outputs, the network {outputs}: train a new head with {published.new_head}"
        )
    warnings.warn(
        f"{name}: which finding each of the {held} outputs means is not verified: "
        f"{'give labels' if known is not None else 'write a card with the labels beside the file (write_card)'}",
        stacklevel=4,
    )


def _fitted(values: torch.Tensor, channels: int, first_layer: str) -> torch.Tensor:
    """Return the first convolution (maps,C,…), or the scaling (2,C), for other channels; as it is where that fails."""
    held = values.shape[1]
    if first_layer == "sum":
        if channels == 1:
            return values.sum(1, keepdim=True)
        return values if held != 1 else (values / channels).repeat(1, channels, *[1] * (values.ndim - 2))
    if first_layer == "average" and channels > held:
        new = values.mean(1, keepdim=True)
    elif first_layer in COLOURS and channels > held == 3:
        new = values[:, [COLOURS.index(first_layer)]]
    else:
        return values
    return torch.cat([values, *[new] * (channels - held)], 1)


def _per_channel(scaling: torch.Tensor, channels: int, name: str) -> torch.Tensor:
    """Return (2,C); for one grey channel in place of several, their average."""
    if channels == 1:
        return scaling.mean(1, keepdim=True)
    if scaling.shape[1] not in (1, channels):
        raise CheckpointError(f"{name}: input scaling of {scaling.shape[1]} channels, the network takes {channels}")
    return scaling.expand(2, channels).clone()


def _compare(
    state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], published: Published, name: str
) -> None:
    """Raise an error that says what differs; ``num_batches_tracked``, which old files lack, does not count."""
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in wanted]
    reshaped = [key for key in wanted if key in state and state[key].shape != wanted[key].shape]
    differing = [*missing, *unexpected, *reshaped]
    if not differing:
        return
    shapes = [
        f"{key}: file {'×'.join(map(str, state[key].shape))}, network {'×'.join(map(str, wanted[key].shape))}"
        for key in reshaped
    ]
    report = "; ".join(
        f"{len(keys)} {what} ({_some(keys)})"
        for keys, what in ((missing, "missing"), (unexpected, "unexpected"), (shapes, "of another shape"))
        if keys
    )
    do = "build the network that the file is of"
    held, channels = (
        tensors[published.first].shape[1] if published.first in reshaped else 0 for tensors in (state, wanted)
    )
    if 1 in (held, channels):
        do = "set first_layer: sum to load other channels"
    elif channels > held:
        do = "set first_layer: average to load more channels"
    elif not any(key.startswith(published.body) for key in differing):
        do = f"train a new head with {published.new_head}"
    raise CheckpointError(f"{name} do not fit this network: keys {report}: {do}")


def _some(names: Iterable[str], most: int = 4) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
