"""The model of a finished run: its files, and the options that it was trained with."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medkit import overrides as override
from medkit.bundle import Bundle
from medkit.card import card_path, read_card
from medkit.configuration import load_config
from medkit.errors import ConfigError, DataError
from medkit.files import sha256, whole, write_json
from medkit.folders import found
from medkit.request import PUBLISHED_OPTIONS, Request
from medkit.trained import model_folder, needed_from_outside


@dataclass(frozen=True, slots=True)
class FinishedModel:
    """What is published.

    Attributes:
        bundle: whose model it is.
        run: the folder of the run.
        files: what the bundle's stages for new images need, and the cards of weights, relative to the run.
        options: overrides of these stages that the model was trained with; none of them is a path.
        synthetic: some of it was trained on phantoms.
    """

    bundle: Bundle
    run: Path
    files: tuple[str, ...]
    options: dict[str, Any]
    synthetic: bool

    @classmethod
    def read(cls, request: Request) -> FinishedModel:
        """Find the model and check it against the run's receipts.

        Raises:
            ConfigError: the bundle has no stage for new images, or there is no run with a model.
            DataError: a stage that makes a file has not ended, or the file was changed since.
            CheckpointError: a card is not its weights'.
        """
        bundle = request.bundle
        stages = [stage for stage in bundle.stages if stage.on_input]
        if not stages:
            raise ConfigError(f"bundle {bundle.name} leaves no model for new images: there is nothing to publish")
        run, needs = model_folder(request, stages), needed_from_outside(stages)
        made = _receipts(run)
        for name in needs:
            if made.get(name) is None or not (run / name).is_file():
                raise DataError(f"{run} has no finished {name}: run medkit run {bundle.name} to its end, or give --run")
            if made[name] != sha256(run / name):
                raise DataError(f"{run / name} was changed since the run made it: publish another run")
        weights = [name for name in needs if name.endswith(".pt")]
        cards = {name: card for name in weights if (card := read_card(run / name)) is not None}
        merged = [load_config(bundle.config_files(stage), bundle_root=bundle.root) for stage in stages]
        taken = request.with_options_of(run, merged).overrides
        options = {key: value for key, value in taken.items() if not (isinstance(value, str) and os.sep in value)}
        files = (*needs, *(card_path(name).as_posix() for name in cards))
        return cls(bundle, run, files, options, any(card.synthetic for card in cards.values()))

    def copy_into_bundle(self) -> None:
        """Copy the files into the bundle's own folder, with the options beside them."""
        for name in self.files:
            with whole(self.bundle.root / name) as temporary:
                shutil.copyfile(self.run / name, temporary)
        words = {key: override.word(value) for key, value in self.options.items()}
        write_json(self.bundle.root / PUBLISHED_OPTIONS, {"overrides": words})


def _receipts(run: Path) -> dict[str, str]:
    """Return file → SHA-256, of all that stages which ended have made."""
    files = [run / name for name in found(run, ["receipts/*.json"])]
    return {name: digest for file in files for name, digest in json.loads(file.read_text("utf-8"))["makes"].items()}
