"""Where a bundle's trained model is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medkit.bundle import Stage
from medkit.errors import ConfigError
from medkit.folders import earlier_runs
from medkit.request import Request


def model_folder(request: Request, stages: Sequence[Stage]) -> Path:
    """Return the folder that stages read a model from: the one asked for, else the newest run with it, else the bundle.

    Raises:
        ConfigError: there is none.
    """
    if request.model_dir is not None:
        if not request.model_dir.is_dir():
            raise ConfigError(f"--model_dir {request.model_dir} is not a folder: give a run's folder")
        return request.model_dir.resolve()
    needs = needed_from_outside(stages)
    for folder in (*earlier_runs(request.home), request.bundle.root):
        if all((folder / name).is_file() for name in needs):
            return folder
    raise ConfigError(
        f"no trained model: looked for {', '.join(needs)} in {request.home} and "
        f"{request.bundle.root}. Run medkit run {request.bundle.root.name} first, or give --model_dir"
    )


def needed_from_outside(stages: Sequence[Stage]) -> list[str]:
    """Return the files that stages need and none of them makes, patterns left out."""
    made = {name for stage in stages for name in stage.makes}
    needed = dict.fromkeys(name for stage in stages for name in stage.needs)
    return [name for name in needed if name not in made and "*" not in name]
