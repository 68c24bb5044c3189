"""Whether a bundle's networks take and give what its metadata says: each is built untrained and sees one fake batch.

This executes what the configuration names: the trust audit comes first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.bundle.scripts import _get_fake_spatial_shape

from medkit.configuration import walk
from medkit.errors import root_cause, shown
from medkit.files import confined
from medkit.keys import reached

MOST_NUMBERS = 2**26
"""Numbers of a fake batch: 256 MB of float32."""
_UNTRAINED = {"weights": None, "pretrained": False}
"""Options of networks, and of those inside them, that read or download weights → what leaves them as they are built."""
_ANY = 64
"""Pixels where the metadata allows any number."""

Form = tuple[tuple[str, ...], ...]
"""Of each tensor: dtype, channels, spatial sizes; ``*`` where any will do."""


def problems(configs: Iterable[Mapping[str, Any]], metadata: Mapping[str, Any]) -> Iterator[str]:
    """Yield each network whose input and output no ``*_data_format`` of the metadata describes.

    Pretrained weights are left out: they change no shape, and may not be there yet. Nothing is written.

    Args:
        configs: merged configurations; those with a ``network_def`` count, equal ones once.
        metadata: that the schema has nothing against.
    """
    formats = [form for name, form in metadata.items() if name.endswith("_data_format")]
    networks = {}
    for config in configs:
        if config.get("network_def") is not None:
            parts = _untrained({key: config[key] for key in sorted(reached(config, ["network_def"]))})
            networks[str(parts)] = {**config, **parts}
    for config in networks.values():
        with tempfile.TemporaryDirectory() as nowhere, confined(nowhere), torch.random.fork_rng([]), torch.no_grad():
            if what := _wrong(config, formats):
                yield f"network_def: {what}"


def _untrained(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return top-level keys without what their parts, however deep, would read or download."""
    copied = deepcopy(dict(parts))
    for holder, key, place, _ in walk(copied):
        if key in _UNTRAINED and place != key and isinstance(holder, dict):
            holder[key] = _UNTRAINED[key]
    return copied


def _wrong(config: Mapping[str, Any], formats: Iterable[Mapping[str, Any]]) -> str:
    """Return what is wrong with a network under the first data format, or an empty string if one describes it."""
    try:
        network = ConfigParser(dict(config)).get_parsed_content("network_def").eval()
        for buffer in network.buffers():
            buffer.nan_to_num_()  # what has not been fitted yet
    except Exception as error:  # of anybody's network
        return f"cannot be built: {_reason(error)}"
    told = []
    for form in formats:
        try:
            told.append(_differs(network, form))
        except Exception as error:
            told.append(f"cannot be tried on a fake batch: {_reason(error)}")
        if not told[-1]:
            return ""
    return told[0] if told else "the metadata describes no network"


def _differs(network: Any, form: Mapping[str, Any]) -> str:
    wanted = _described(form["outputs"])
    inputs = [value for value in form["inputs"].values() if isinstance(value, Mapping)]
    shapes = [(1, f["num_channels"], *_get_fake_spatial_shape(f["spatial_shape"], any=_ANY)) for f in inputs]
    if sum(torch.Size(shape).numel() for shape in shapes) > MOST_NUMBERS:
        return f"a fake batch of {_batch(shapes)} would be too large to try"
    try:
        output = network(*(torch.rand(shape).to(getattr(torch, f["dtype"])) for shape, f in zip(shapes, inputs)))
    except Exception as error:
        return f"fails on a fake batch of {_batch(shapes)}: {_reason(error)}"
    outputs = (
        output.values() if isinstance(output, Mapping) else output if isinstance(output, tuple | list) else [output]
    )
    given = tuple((str(o.dtype).removeprefix("torch."), *map(str, o.shape[1:])) for o in outputs)
    if len(given) == len(wanted) and all(_agree(g, w) for g, w in zip(given, wanted)):
        return ""
    return f"gives {_text(given)} for a fake batch of {_batch(shapes)}, metadata.json says {_text(wanted)}"


def _reason(error: Exception) -> str:
    cause = root_cause(error)
    return f"{type(cause).__name__}: {shown(cause, 200)}"


def _batch(shapes: Iterable[tuple[int, ...]]) -> str:
    return " and ".join(map(str, shapes))


def _described(outputs: Mapping[str, Any]) -> Form:
    tensors = [value for value in outputs.values() if isinstance(value, Mapping)]
    sizes = [[str(size) if isinstance(size, int) else "*" for size in t["spatial_shape"]] for t in tensors]
    return tuple((t["dtype"], str(t["num_channels"]), *size) for t, size in zip(tensors, sizes))


def _agree(given: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return len(given) == len(wanted) and all(w in ("*", g) for g, w in zip(given, wanted))


def _text(form: Form) -> str:
    return " and ".join(f"{dtype} ({', '.join(sizes)})" for dtype, *sizes in form)
