"""What the user asked of a bundle; on ``--input``, what the run that trained the model was asked holds too."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from medkit import overrides as override
from medkit.bundle import Bundle
from medkit.folders import found

_OF_THAT_RUN = {
    *("dataset_dir", "output_dir", "model_dir", "bundle_root", "device"),
    *("quiet", "strict", "allow_synthetic_model"),
}
"""Where and how a run went, not what its model is."""
PUBLISHED_OPTIONS = "models/run.json"
"""In a bundle that holds its model: the overrides that it was trained with, as in a run's ``run.json``."""


@dataclass(slots=True)
class Request:
    """What the user asked for; see ``medkit run --help``."""

    bundle: Bundle
    overrides: dict[str, Any] = field(default_factory=dict)
    flags: dict[str, Any] = field(default_factory=dict)
    input_dir: Path | None = None
    runs_dir: Path = Path("runs")
    output_dir: Path | None = None
    model_dir: Path | None = None
    stages: tuple[str, ...] = ()
    from_stage: str | None = None
    force: bool = False
    trusted: bool = False
    pin: str | None = None
    processes: int = 1
    jobs: int = 1

    @property
    def home(self) -> Path:
        """The folder of the bundle's runs."""
        return self.runs_dir.resolve() / self.bundle.name

    @property
    def settled(self) -> dict[str, Any]:
        """What overrides a configuration: flags, the user's overrides with paths made absolute, and --input's.

        Stages side by side draw no progress bars.
        """
        on_input = {**self.bundle.on_input, "dataset_dir": str(self.input_dir.resolve())} if self.input_dir else {}
        paths = {
            key: str(Path(value).resolve())
            for key, value in self.overrides.items()
            if isinstance(value, str) and (os.sep in value or key == "dataset_dir") and Path(value).exists()
        }
        quiet = {"quiet": True} if self.jobs > 1 else {}
        return {**self.flags, **quiet, **self.overrides, **paths, **on_input}

    def with_options_of(self, model_dir: Path, configs: Iterable[Mapping[str, Any]]) -> Request:
        """Return the request with the overrides under which a model was trained, where none are given here.

        So a model that learnt from images of another size, or a gate of another mode, is used as it was made.

        Args:
            model_dir: the run's folder, or a bundle with a published model; where it has no ``run.json``, nothing is
                taken over. It may be a stranger's: what MONAI would evaluate or build stays behind.
            configs: merged configurations of the bundle's stages for ``--input``; what applies to none stays behind.
        """
        try:
            file = found(model_dir, ("run.json", PUBLISHED_OPTIONS))[0]
            words = json.loads((model_dir / file).read_text(encoding="utf-8"))["overrides"]
        except (OSError, ValueError, LookupError):
            return self
        given = override.parse([word for key, value in words.items() for word in (f"--{key}", str(value))])
        theirs = {k: v for k, v in given.items() if k.split("#")[-1] not in _OF_THAT_RUN and _is_plain(k, v)}
        placed = {key for config in configs for key in override.applicable(theirs, config)}
        taken = {key: value for key, value in theirs.items() if key in placed}
        return replace(self, overrides={**taken, **self.overrides})


def _is_plain(key: str, value: Any) -> bool:
    """Return whether MONAI takes a value as it is: neither evaluates nor builds nor refers to anything."""
    if isinstance(value, Mapping):
        return all(_is_plain(f"{key}#{name}", item) for name, item in value.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(key, item) for item in value)
    marked = isinstance(value, str) and value.startswith(("$", "@", "%"))
    return not marked and not key.split("#")[-1].startswith(("_", "+"))
