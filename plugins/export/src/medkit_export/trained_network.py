"""A bundle's trained network, built and loaded as its configuration for new images says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from torch import nn

from medkit.bundle import Bundle, Stage
from medkit.card import Card
from medkit.checkpoint import load_trained
from medkit.configuration import load_config, walk
from medkit.errors import ConfigError, did_you_mean
from medkit.files import WRITES_BELOW, confined
from medkit.request import Request
from medkit.runs import Run
from medkit.trained import model_folder
from medkit_export.images import Images, read_images


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """What is exported.

    Attributes:
        bundle: whose network it is.
        config: the file in its ``configs``.
        network: in evaluation mode, on the CPU.
        checkpoint: the file of its weights.
        card: what is known of them.
        labels: what the outputs stand for; None where the configuration does not say.
        preprocessing: the transforms before it, as the configuration has them; None where it has none of that name.
        fitted: what turns its logits into findings, as fitted on validation data; None where nothing was.
        images: random and real ones.
    """

    bundle: Bundle
    config: str
    network: nn.Module
    checkpoint: Path
    card: Card | None
    labels: list[str] | None
    preprocessing: list[Any] | None
    fitted: dict[str, Any] | None
    images: Images

    @classmethod
    def read(cls, request: Request, config: str) -> TrainedNetwork:
        """Audit the bundle, build the network, load its weights strictly, and read a few images.

        Args:
            request: its ``output_dir`` is a temporary folder, for phantoms.
            config: a file in the bundle's ``configs``.

        Raises:
            ConfigError: no such configuration, no trained model, or the configuration loads none.
            TrustError: the bundle would execute something undeclared.
            CheckpointError: the weights are another network's, or stand for other labels.
        """
        stage = _stage(request.bundle, config)
        folder = model_folder(request, [stage])
        run = Run.plan(_as_trained(request, stage, folder))
        said = run.configs[stage.name]
        places = {"bundle_root": str(request.bundle.root), "model_dir": str(folder), "quiet": True, "device": "cpu"}
        parser = ConfigParser(
            {**said, **places, "output_dir": str(folder if _has_data(said, folder) else run.output_dir)}
        )
        loads, fits = (_ids(said, f"medkit.{handler}") for handler in ("LoadCheckpoint", "LoadFit"))
        if not loads:
            raise ConfigError(
                f"{config} of bundle {request.bundle.name} loads no weights: it has no medkit.LoadCheckpoint"
            )
        with confined(run.confinement.get(WRITES_BELOW)):
            network = parser.get_parsed_content("network_def").cpu()
            checkpoint = Path(parser.get_parsed_content(f"{loads[0]}#path"))
            labels = parser.get_parsed_content(f"{loads[0]}#labels") if f"{loads[0]}#labels" in parser else None
            card = load_trained(network, checkpoint, labels)
            images = read_images(parser)
            fitted = Path(parser.get_parsed_content(f"{fits[0]}#path")) if fits else None
        return cls(
            request.bundle,
            config,
            network,
            checkpoint,
            card,
            labels,
            parser.get("preprocessing#transforms"),
            json.loads(fitted.read_text(encoding="utf-8")) if fitted and fitted.is_file() else None,
            images,
        )


def _stage(bundle: Bundle, config: str) -> Stage:
    stages = {stage.config[0]: stage for stage in bundle.stages if stage.on_input and len(stage.config) == 1}
    if config not in stages:
        raise ConfigError(
            f'bundle {bundle.name} runs no "{config}" on new images.{did_you_mean(config, stages)} '
            f"It runs: {', '.join(stages) or 'nothing'}."
        )
    return stages[config]


def _as_trained(request: Request, stage: Stage, folder: Path) -> Request:
    """Return the request for one stage with the options that the model was trained with, and its data."""
    merged = load_config(request.bundle.config_files(stage), bundle_root=request.bundle.root, outside=request.trusted)
    own = replace(request, model_dir=folder, stages=(stage.name,)).with_options_of(folder, [merged])
    try:
        data = json.loads((folder / "run.json").read_text(encoding="utf-8"))["overrides"]["dataset_dir"]
    except (OSError, ValueError, KeyError):
        return own
    return replace(own, overrides={"dataset_dir": data, **own.overrides}) if Path(data).is_dir() else own


def _has_data(config: Mapping[str, Any], folder: Path) -> bool:
    """Return whether nothing is to be made: real images are given, or a run has left its phantoms."""
    made = [part["fallback"] for *_, part in walk(config) if isinstance(part, dict) and part.get("fallback")]
    return config.get("dataset_dir") is not None or any((folder / str(name)).is_dir() for name in made)


def _ids(config: Mapping[str, Any], target: str) -> list[str]:
    """Return where a configuration has parts of a target."""
    found = [(path, part) for *_, path, part in walk(config) if isinstance(part, dict)]
    return [path.replace("::", "#") for path, part in found if part.get("_target_") == target]
