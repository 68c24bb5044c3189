"""A tuning settled: the bundle's search, checked as `medkit run` would, and what each trial is given."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from optuna.distributions import distribution_to_json

from medkit import overrides as override
from medkit.bundle import Bundle
from medkit.configuration import walk
from medkit.errors import ConfigError
from medkit.request import Request
from medkit.runs import Run
from medkit_tuning.space import Space, Value, words


@dataclass(frozen=True, slots=True)
class Plan:
    """What is searched.

    Attributes:
        space: the bundle's ``configs/tune.yaml``.
        run: the bundle's run with the user's overrides; its folder is that of the data that all trials share.
        given: the user's overrides, as words.
        defaults: the bundle's own values of the parameters.
    """

    space: Space
    run: Run
    given: tuple[str, ...]
    defaults: dict[str, Value]

    @classmethod
    def make(cls, bundle: Path, given: Sequence[str], data_dir: Path, trusted: bool) -> Plan:
        """Read and check everything that can be checked before a trial runs.

        Raises:
            ConfigError: see `medkit_tuning.space.Space` and `medkit.runs.Run.plan`.
        """
        read = Bundle.read(bundle)
        space = Space.read(read)
        fixed = override.parse(given)
        if both := sorted(set(fixed) & set(space.parameters)):
            raise ConfigError(f'"--{both[0]}" is searched: leave it out here, or in configs/tune.yaml')
        request = Request(read, overrides=fixed, output_dir=data_dir, stages=space.stages, trusted=trusted)
        run = Run.plan(request)
        configs = {stage.name: run.configs[stage.name] for stage in run.stages}
        override.require_places(space.parameters, configs, set())
        defaults = space.defaults(configs)
        override.require_options(override.parse(words(defaults)), configs)
        return cls(space, run, tuple(given), defaults)

    @property
    def definition(self) -> dict[str, Any]:
        """What all trials of a study have in common, JSON-able."""
        objective = self.space.objective
        return {
            "bundle": self.run.request.bundle.name,
            "stages": list(self.space.stages),
            "objective": {"file": objective.file, "column": objective.column, "direction": objective.direction},
            "parameters": {key: distribution_to_json(limits) for key, limits in self.space.parameters.items()},
            "configuration": self.run.identity,
        }

    def command(self, folder: Path, values: Mapping[str, Value]) -> list[str]:
        """Return what runs a trial in ``folder``: ``medkit run``, in a process that ends with this one."""
        stages = [part for stage in self.space.stages for part in ("--stage", stage)]
        trust = ["--trust"] if self.run.request.trusted else []
        options = [*stages, "--output_dir", str(folder), "--quiet", *trust]
        shared = words({key: str(self.run.output_dir) for key in _data_folders(self.run)})
        root = str(self.run.request.bundle.root)
        medkit = [sys.executable, "-P", "-m", "medkit_tuning.trial_process"]
        return [*medkit, "run", root, *options, "--", *self.given, *shared, *words(values)]

    def make_data(self, quiet: bool) -> None:
        """Make the phantoms that all trials read, where the bundle has no data of its own; once."""
        for key, config in _data_folders(self.run).items():
            self.run.output_dir.mkdir(parents=True, exist_ok=True)
            settled = {"output_dir": str(self.run.output_dir), "quiet": quiet or config.get("quiet", False)}
            parser = ConfigParser({**config, **settled})
            before = dict(os.environ)
            os.environ.update(self.run.confinement)
            try:
                parser.get_parsed_content(key.removesuffix("#work_dir"))
            finally:
                os.environ.clear()
                os.environ.update(before)


def _data_folders(run: Run) -> dict[str, dict[str, Any]]:
    """Return the keys that say where a trial would make a data set of its own, each with its configuration."""
    found: dict[str, dict[str, Any]] = {}
    for config in [run.configs[stage.name] for stage in run.stages]:
        for _, _, path, part in walk(config):
            makes = isinstance(part, Mapping) and part.get("_target_") == "medkit.dataset" and part.get("fallback")
            if makes and "work_dir" in part and config.get("dataset_dir") is None:
                found.setdefault(f"{path.replace('::', '#')}#work_dir", config)
    return found
