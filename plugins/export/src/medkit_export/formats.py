"""The formats: how a network becomes a file, and how the file is run where medkit is not."""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.data import save_net_with_metadata
from torch import nn

from medkit.errors import PluginError

INPUT = "image"
OUTPUTS = ("logits", "mask_logits")
"""A network gives logits, or logits and mask logits (`medkit.contracts.Network`)."""
Tensors = tuple[torch.Tensor, ...]


class Named(nn.Module):
    """The network with an input of one name, and a tuple of outputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> Tensors:
        """(B,C,H,W) float32 → logits, or logits and mask logits."""
        output = self.network(image)
        return output if isinstance(output, tuple) else (output,)


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        suffix: of its files.
        write: ``(network, example, facts, file)`` writes the network with the facts inside; the example is a batch.
        read: returns what the file computes.
        packages: that it needs.
    """

    suffix: str
    write: Callable[[Named, torch.Tensor, Mapping[str, Any], Path], None]
    read: Callable[[Path], Callable[[torch.Tensor], Tensors]]
    packages: tuple[str, ...] = ()

    def require(self) -> None:
        """Check that the packages are there.

        Raises:
            PluginError: one is not.
        """
        missing = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if missing:
            raise PluginError(f"{', '.join(missing)} not installed: pip install 'medkit-export[onnx]'")


def _program(network: Named, example: torch.Tensor) -> torch.export.ExportedProgram:
    # without gradients: a network that switches them off itself would leave a switch in the graph
    with torch.no_grad():
        return torch.export.export(network, (example,), dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}})


def _write_pt2(network: Named, example: torch.Tensor, facts: Mapping[str, Any], file: Path) -> None:
    with file.open("wb") as stream:
        torch.export.save(_program(network, example), stream, extra_files={"metadata.json": json.dumps(facts)})


def _read_pt2(file: Path) -> Callable[[torch.Tensor], Tensors]:
    with file.open("rb") as stream:
        return torch.export.load(stream).module()


def _write_onnx(network: Named, example: torch.Tensor, facts: Mapping[str, Any], file: Path) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it announces that torchvision is missing
    names = OUTPUTS[: len(network(example))]
    program: Any = torch.onnx.export(
        _program(network, example), dynamo=True, input_names=[INPUT], output_names=names, verbose=False
    )
    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
    program.model.metadata_props.update(text)
    program.save(file, external_data=False)


def _read_onnx(file: Path) -> Callable[[torch.Tensor], Tensors]:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda images: tuple(map(torch.from_numpy, session.run(None, {INPUT: images.numpy()})))


def _write_torchscript(network: Named, example: torch.Tensor, facts: Mapping[str, Any], file: Path) -> None:
    with file.open("wb") as stream, torch.no_grad():
        traced = torch.jit.trace(network, example, check_trace=False)  # compared with the original afterwards
        save_net_with_metadata(traced, stream, include_config_vals=False, meta_values=facts)


def _read_torchscript(file: Path) -> Callable[[torch.Tensor], Tensors]:
    with file.open("rb") as stream:
        return torch.jit.load(stream)


FORMATS = {
    "onnx": Format(".onnx", _write_onnx, _read_onnx, ("onnx", "onnxruntime", "onnxscript")),
    "pt2": Format(".pt2", _write_pt2, _read_pt2),
    "torchscript": Format(".ts", _write_torchscript, _read_torchscript),
}
