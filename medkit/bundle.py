"""Read a bundle: its folder, its stages, and what each stage's configuration says."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from medkit.errors import ConfigError, did_you_mean


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a bundle: a plain MONAI workflow.

    Attributes:
        name: short, e.g. ``train``.
        title: what it does, for people.
        config: MONAI config files below ``configs/``, merged in order.
        needs: files that must exist before, relative to ``model_dir``.
        makes: files that exist after it, relative to ``output_dir``.
        on_input: it is run by ``--input FOLDER``.
        distributed: it can run in several processes.
        run_id: MONAI's ``run_id``.
    """

    name: str
    title: str
    config: tuple[str, ...]
    needs: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    on_input: bool = False
    distributed: bool = False
    run_id: str = "run"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A MONAI bundle with stages.

    Attributes:
        root: absolute path of the bundle's folder.
        stages: in the order in which they run.
        on_input: what ``--input FOLDER`` overrides in the stages marked ``on_input``, beside ``dataset_dir``.
        metadata: ``configs/metadata.json``.
    """

    root: Path
    stages: tuple[Stage, ...]
    on_input: dict[str, Any]
    metadata: dict[str, Any]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.root.name

    @classmethod
    def read(cls, path: str | Path) -> Bundle:
        """Read ``configs/medkit.yaml`` and ``configs/metadata.json`` below ``path``.

        Raises:
            ConfigError: no such bundle, or a file of it is missing or wrong.
        """
        root = Path(path).expanduser().resolve()
        stages_file = root / "configs" / "medkit.yaml"
        if root.is_file():
            raise ConfigError(f'"{path}" is a file: give the folder of a bundle')
        if not root.is_dir():
            beside = [p.parent.parent.name for p in root.parent.glob("*/configs/medkit.yaml")]
            raise ConfigError(f'no bundle "{path}": {_listing(root.name, beside)}')
        if not stages_file.is_file():
            raise ConfigError(f'"{path}" is not a medkit bundle: it has no configs/medkit.yaml')
        try:
            given = yaml.safe_load(stages_file.read_text(encoding="utf-8")) or {}
            metadata = json.loads((root / "configs" / "metadata.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"bundle {path}: {' '.join(str(error).split())}") from error
        if not isinstance(given, dict) or not isinstance(given.get("stages", []), list):
            raise ConfigError(f"{stages_file} is not a mapping with a list of stages")
        _known_keys(given, {"stages", "on_input"}, stages_file)
        stages = tuple(_stage(entry, stages_file) for entry in given.get("stages", []))
        if not stages:
            raise ConfigError(f"{stages_file} lists no stages: add at least one")
        return cls(root, stages, dict(given.get("on_input") or {}), metadata)

    def stage(self, name: str) -> Stage:
        """Return the stage of that name.

        Raises:
            ConfigError: there is none.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        names = [s.name for s in self.stages]
        raise ConfigError(
            f'bundle {self.name} has no stage "{name}".{did_you_mean(name, names)} Stages: {", ".join(names)}.'
        )

    def config_files(self, stage: Stage) -> list[str]:
        """Return the absolute paths of a stage's config files."""
        return [str(self.root / "configs" / name) for name in stage.config]


def _stage(entry: dict[str, Any], file: Path) -> Stage:
    if not isinstance(entry, dict):
        raise ConfigError(f"{file}: a stage is a mapping of name, title and config, found {entry!r}")
    _known_keys(entry, {f.name for f in fields(Stage)}, file)
    for key in ("config", "needs", "makes"):
        if not isinstance(entry.get(key, []), list):
            raise ConfigError(f"{file}: {key} of a stage is a list of files, found {entry[key]!r}")
    lists = {key: tuple(entry.get(key, ())) for key in ("config", "needs", "makes")}
    if not {"name", "title"} <= entry.keys() or not lists["config"]:
        raise ConfigError(f"{file}: a stage needs name, title and config, found {', '.join(entry) or 'nothing'}")
    for name in lists["config"]:
        if not (file.parent / name).is_file():
            raise ConfigError(f'{file}: stage {entry["name"]} names config "{name}", which is not in {file.parent}')
    return Stage(**{**entry, **lists})


def _known_keys(given: dict[str, Any], known: set[str], file: Path) -> None:
    for key in given:
        if key not in known:
            raise ConfigError(
                f'{file}: unknown key "{key}".{did_you_mean(key, known)} Keys: {", ".join(sorted(known))}.'
            )


def _listing(name: str, bundles: list[str]) -> str:
    if not bundles:
        return "the folder does not exist and no bundle lies beside it"
    return f"the folder does not exist.{did_you_mean(name, bundles)} Bundles there: {', '.join(sorted(bundles))}."
