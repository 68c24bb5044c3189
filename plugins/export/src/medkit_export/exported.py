"""A network's file and its description: written when the file computes what the network does, else not at all."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from medkit.errors import MedkitError
from medkit.files import sha256, whole
from medkit_export.comparison import ABSOLUTE, RELATIVE, compare
from medkit_export.description import SYNTHETIC, describe
from medkit_export.formats import FORMATS, OUTPUTS, Named
from medkit_export.trained_network import TrainedNetwork


class ExportError(MedkitError):
    """A network that a format cannot hold."""


def write(trained: TrainedNetwork, name: str, output: Path | None = None) -> Iterator[str]:
    """Write the file and FILE.json, both or none; yield what to tell the user.

    Raises:
        ExportError: the format cannot hold this network.
        DiffersError: what it holds computes something else.
    """
    form, network = FORMATS[name], Named(trained.network).eval()
    part = trained.config.partition(".")[0].removeprefix("inference")
    file = output or Path(f"{trained.bundle.name}{part}{form.suffix}")
    images = trained.images
    batches = {"random, 1 image": images.random(1), "random, 3 images": images.random(3)}
    if len(images.real):
        batches[f"{len(images.real)} {'phantoms' if images.synthetic else 'real images'}"] = images.real
    with torch.no_grad():
        outputs = dict(zip(OUTPUTS, network(images.random(2))))
    facts = describe(trained, outputs, form.packages)
    with whole(file.with_name(f"{file.name}.json")) as description, whole(file) as temporary:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch deprecates one format, and warns of its own insides in others
                form.write(network, images.random(2), facts, temporary)
                differences = compare(network, form.read(temporary), batches, list(outputs))
        except (MedkitError, OSError):
            raise
        except Exception as error:  # a stranger's network may make torch raise anything
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ExportError(f"{name} cannot hold this network: {reason}. Try another --format") from error
        told = {"file": file.name, "format": name, "sha256": sha256(temporary), **facts}
        told["comparison"] = {"tolerance": {"absolute": ABSOLUTE, "relative": RELATIVE}, "differences": differences}
        description.write_text(json.dumps(told, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    yield from _lines(file, told, images.problem)


def _lines(file: Path, told: dict[str, Any], problem: str) -> Iterator[str]:
    form, given = told["input"], ", ".join(f"{name} {output['shape']}" for name, output in told["outputs"].items())
    yield f"{file}: {form['name']} {form['shape']} → {given}, no probabilities"
    for batch, found in told["comparison"]["differences"].items():
        apart = ", ".join(
            f"{name} {d['max_absolute']:.2g} ({d['max_relative']:.2g} of the largest)" for name, d in found.items()
        )
        yield f"  differs from the original by at most: {apart} on {batch}"
    if problem:
        yield f"  compared on no real image, none could be read: {problem}"
    if told["synthetic"]:
        yield f"  {SYNTHETIC}"
    yield f"{file}.json"
