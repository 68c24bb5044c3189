"""Read a bundle: its folder, its stages, and what each stage's configuration says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePath
from typing import Any

import yaml

from medkit import loops, monai_options
from medkit.errors import ConfigError, did_you_mean, shown


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a bundle: a plain MONAI workflow.

    Attributes:
        name: short, e.g. ``train``; a repetition's is ``train[fold=0]``.
        title: what it does, for people.
        config: MONAI config files in ``configs/``, merged in order.
        needs: files that must exist before, relative to ``model_dir``; of a pattern with ``*`` at least one, and when
            others join them the stage runs again.
        makes: files that exist after it, relative to ``output_dir``; of a pattern at least one. A later run of other
            stages takes over all of them.
        on_input: it is run by ``--input FOLDER``.
        distributed: it can run in several processes.
        unless: a top-level key of the configuration: who overrides it has what the stage would make, and the stage is
            left out; ``weights``, say, in place of pretraining.
        run_id: MONAI's ``run_id``.
        loops: ``for`` in the file: top-level key of the configuration → values to repeat the stage over; see
            `medkit.loops`. In a repetition each has one value.
        set: top-level key of the configuration → value; in a repetition filled, with the loops' values.
    """

    name: str
    title: str
    config: tuple[str, ...]
    needs: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    on_input: bool = False
    distributed: bool = False
    unless: str | None = None
    run_id: str = "run"
    loops: Mapping[str, Any] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """The name without the values of a repetition."""
        return self.name.partition("[")[0]

    @property
    def values(self) -> frozenset[str]:
        """What a repetition's name says in brackets: ``fold=0`` …"""
        return frozenset(self.name.partition("[")[2].removesuffix("]").split(",")) - {""}


@dataclass(frozen=True, slots=True)
class Bundle:
    """A MONAI bundle with stages.

    Attributes:
        root: absolute path of the bundle's folder.
        written: the stages as the file has them.
        stages: in the order in which they run, repeated ones once for each combination of values.
        on_input: what ``--input FOLDER`` overrides in the stages marked ``on_input``, beside ``dataset_dir``.
        metadata: ``configs/metadata.json``.
    """

    root: Path
    written: tuple[Stage, ...]
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
        metadata = read_metadata(root)
        try:
            given = yaml.safe_load(_inside(stages_file, root).read_text(encoding="utf-8")) or {}
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise ConfigError(f"{stages_file}: {shown(' '.join(str(error).split()), 300)}") from error
        if not isinstance(given, dict) or not isinstance(given.get("stages", []), list):
            raise ConfigError(f"{stages_file} is not a mapping with a list of stages")
        _known_keys(given, {"stages", "on_input"}, stages_file)
        written = tuple(_stage(entry, stages_file) for entry in given.get("stages", []))
        if not written:
            raise ConfigError(f"{stages_file} lists no stages: add at least one")
        on_input = dict(given.get("on_input") or {})
        monai_options.require_none(on_input, f"{stages_file}: on_input")
        return cls(root, written, (), on_input, metadata).repeated({})

    def repeated(self, overrides: Mapping[str, Any]) -> Bundle:
        """Return the bundle with its stages repeated over the values that the user gives to loops, else over its own.

        Stages that an override stands in for (`Stage.unless`) are left out, and nothing needs what they would make.

        Raises:
            ConfigError: see `medkit.loops.expand`; a config file that a stage names is not there, or not in
                ``configs/`` itself; or what it needs or makes lies outside the run's folder.
        """
        stages = loops.expand(self.written, overrides)
        for stage in stages:
            for name in (*stage.needs, *stage.makes):
                if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
                    raise ConfigError(
                        f'stage {stage.name}: "{name}" leads out of the run\'s folder: write a path in it'
                    )
            for name in stage.config:
                if PurePath(name).name != name:  # beside a file elsewhere MONAI would find another logging.conf
                    raise ConfigError(
                        f'stage {stage.name} names config "{shown(name)}": write the name of a file in configs/, '
                        "without a folder"
                    )
                if not (self.root / "configs" / name).is_file():
                    there = [path.name for path in (self.root / "configs").glob("*.yaml")]
                    hint = did_you_mean(name, there)
                    raise ConfigError(
                        f'stage {stage.name} names config "{name}", which is not in {self.root / "configs"}.{hint}'
                    )
        given = {key for key, value in overrides.items() if value is not None}
        absent = {name for stage in stages if stage.unless in given for name in stage.makes}
        kept = [stage for stage in stages if stage.unless not in given]
        return replace(
            self, stages=tuple(replace(s, needs=tuple(name for name in s.needs if name not in absent)) for s in kept)
        )

    def named(self, name: str) -> list[Stage]:
        """Return the stage of that name, or its repetitions: all, or those that ``name[key=value]`` is true of.

        Raises:
            ConfigError: there is none.
        """
        base, _, chosen = name.removesuffix("]").partition("[")
        values = {pair.strip() for pair in chosen.split(",") if pair.strip()}
        found = [stage for stage in self.stages if stage.base == base and values <= stage.values]
        if not found:
            names = [s.name if "[" in name else s.base for s in self.stages]
            listed = ", ".join(dict.fromkeys(s.base for s in self.stages))
            raise ConfigError(f'bundle {self.name} has no stage "{name}".{did_you_mean(name, names)} Stages: {listed}.')
        return found

    def config_files(self, stage: Stage) -> list[str]:
        """Return the absolute paths of a stage's config files."""
        return [str(self.root / "configs" / name) for name in stage.config]


def read_metadata(root: Path) -> dict[str, Any]:
    """Return what ``configs/metadata.json`` below a bundle's folder says.

    Raises:
        ConfigError: it is missing or no JSON object, or lies elsewhere.
    """
    file = _inside(root / "configs" / "metadata.json", root)
    try:
        metadata = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: {error}") from error
    if not isinstance(metadata, dict):
        raise ConfigError(f"{file} holds {type(metadata).__name__}: write a JSON object")
    return metadata


def _inside(file: Path, root: Path) -> Path:
    if not file.resolve().is_relative_to(root.resolve()):
        raise ConfigError(f"{file} is a link that leads out of the bundle: put the file itself there")
    return file


def _stage(entry: dict[str, Any], file: Path) -> Stage:
    if not isinstance(entry, dict):
        raise ConfigError(f"{file}: a stage is a mapping of name, title and config, found {entry!r}")
    _known_keys(entry, {f.name for f in fields(Stage)} - {"loops"} | {"for"}, file)
    for key in ("config", "needs", "makes"):
        if not isinstance(entry.get(key, []), list):
            raise ConfigError(f"{file}: {key} of a stage is a list of files, found {entry[key]!r}")
    lists = {key: tuple(entry.get(key, ())) for key in ("config", "needs", "makes")}
    if not {"name", "title"} <= entry.keys() or not lists["config"]:
        raise ConfigError(f"{file}: a stage needs name, title and config, found {', '.join(entry) or 'nothing'}")
    if not re.fullmatch(r"[\w.-]+", str(entry["name"])):
        raise ConfigError(f"{file}: the name of a stage is one word, found {entry['name']!r}")
    for key in ("for", "set"):
        given = entry.get(key, {})
        if not isinstance(given, dict) or not all(str(name).isidentifier() for name in given):
            raise ConfigError(f"{file}: {key} of a stage is a mapping of top-level keys to values, found {given!r}")
        monai_options.require_none(given, f"{file}: {key} of stage {entry['name']}")
    if entry.get("for") and entry.get("on_input"):
        raise ConfigError(f'{file}: stage {entry["name"]} is on_input and cannot repeat: remove "for" or "on_input"')
    named = {"loops" if key == "for" else key: value for key, value in entry.items()}
    return Stage(**{**named, **lists, "title": shown(entry["title"], 200)})


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
