"""Run a bundle's stages through MONAI, each once: run folders, receipts, and what can be continued."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medkit import configuration, jobs, lock, loops, monai_options, trust
from medkit import overrides as override
from medkit.bundle import Stage
from medkit.errors import ConfigError, DataError, MedkitError, TrainingError, root_cause
from medkit.files import WRITES_BELOW, confined, sha256, whole, write_json
from medkit.folders import digest, earlier_runs, fingerprint, found, hashes, is_one, require_same_run, run_folder
from medkit.request import Request
from medkit.trained import model_folder, needed_from_outside

_PLACES = ("bundle_root", "output_dir", "model_dir", "quiet")  # where, not what: no part of a stage's identity


@dataclass(slots=True)
class Run:
    """A request with its folders and configurations settled, ready to execute stage by stage."""

    request: Request
    stages: list[Stage]
    output_dir: Path
    model_dir: Path
    configs: dict[str, dict[str, Any]]
    identity: str

    @classmethod
    def plan(cls, request: Request) -> Run:
        """Decide stages and folders and check everything that can be checked before anything runs.

        Raises:
            ConfigError: an override that applies nowhere, no such stage, a loop over a key that no configuration has,
                no model for ``--input``.
            TrustError: the configuration would execute something undeclared, or a locked bundle has changed.
            PluginError: a part is not installed.
        """
        if request.pin is not None or not request.trusted:
            lock.require_unchanged(request.bundle.root, request.pin)
        bundle = request.bundle.repeated(request.overrides)
        request = replace(request, bundle=bundle)
        chosen = _chosen_stages(request)
        load = functools.partial(configuration.load_config, bundle_root=bundle.root, outside=request.trusted)
        as_written = functools.cache(lambda names: load([bundle.root / "configs" / name for name in names]))
        merged = {s.name: as_written(s.config) for s in bundle.stages}
        for stage in bundle.stages:
            loops.require_keys(stage, merged[stage.name])
        loops.require_free(bundle.stages, request.overrides)
        looped = {name for stage in bundle.stages for name in stage.loops}
        placed = {key: value for key, value in request.overrides.items() if key not in looped}
        override.require_places(placed, merged, {"input", "stage", "from", "force", "trust", "device", *looped})
        on_new = request.input_dir is not None or request.model_dir is not None
        model_dir = model_folder(request, chosen) if on_new else None
        if request.input_dir is not None and model_dir is not None:
            on_input = [merged[stage.name] for stage in bundle.stages if stage.on_input]
            request = request.with_options_of(model_dir, on_input)
        configs = {}
        for stage in bundle.stages:
            configs[stage.name] = load(bundle.config_files(stage), _overrides(request, stage, merged[stage.name]))
        if not request.trusted:
            trust.require_trust(trust.audit_bundle(bundle.root, configs.values()))
        override.require_options(request.overrides, merged)
        override.require_files(request.overrides)
        data = fingerprint(configs[bundle.stages[0].name].get("dataset_dir"))
        given = [str(model_dir)] if request.model_dir is not None else []  # of another's model nothing is mixed in
        identity = digest([data, *_common(request, looped, load), *given])
        output_dir = (request.output_dir or run_folder(request.home, identity, request.input_dir is not None)).resolve()
        require_same_run(output_dir, identity)
        return cls(request, chosen, output_dir, model_dir or output_dir, configs, identity)

    def command_overrides(self, stage: Stage) -> dict[str, Any]:
        """Return everything that MONAI is given beside the config files of a stage."""
        roots = {"bundle_root": self.request.bundle.root, "output_dir": self.output_dir, "model_dir": self.model_dir}
        places = {key: str(folder) for key, folder in roots.items()}
        return {**_overrides(self.request, stage, self.configs[stage.name]), **places}

    def _workflow(self, stage: Stage) -> dict[str, Any]:
        """Return MONAI's own options for a stage, with the files beside its configurations that have been audited."""
        configs = self.request.bundle.root / "configs"
        conf = configs / "logging.conf"
        run_id = {} if stage.run_id == "run" else {"run_id": stage.run_id}
        return {
            "config_file": self.request.bundle.config_files(stage),
            **run_id,
            "meta_file": str(configs / "metadata.json"),
            "logging_file": str(conf) if conf.is_file() else False,
        }

    def command(self, stage: Stage, module: str = "monai.bundle") -> list[str]:
        """Return the plain MONAI command that does what `execute` does, with the interpreter that runs now."""
        processes = self.request.processes if stage.distributed else 1
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        words = [_python(), *(torchrun if processes > 1 else []), "-m", module, "run"]
        for key, value in {**self._workflow(stage), **self.command_overrides(stage)}.items():
            text = override.word(value)
            words += [f"--{key}={text}"] if text.startswith("-") else [f"--{key}", text]  # else taken for an option
        return words

    def dry_run(self) -> Iterable[str]:
        """Yield one shell line a stage."""
        return (shlex.join(self.command(stage)) for stage in self.stages)

    def execute(self, announce: Callable[[str], None]) -> None:
        """Run every stage that is not done yet; ``announce`` receives a line before and after each.

        With several jobs, stages that do not follow each other run at once (`medkit.jobs`).

        Raises:
            DataError: a stage lacks what it needs, or did not make what it should.
            MedkitError: a stage in a process of its own failed.
        """
        self.output_dir.mkdir(parents=True, exist_ok=True)
        self._write_run_file()
        self._inherit()
        if self.request.jobs > 1:
            jobs.execute(self, announce)
        else:
            self._execute_in_order(announce)
        self._point_latest()

    def _execute_in_order(self, announce: Callable[[str], None]) -> None:
        ran: set[str] = set()
        failed: dict[str, str] = {}
        waiting = list(self.stages)
        while waiting:
            stage = waiting.pop(0)
            if self.is_done(stage, ran):
                announce(f"{self.label(stage)}: done before")
                continue
            announce(self.label(stage))
            began = time.monotonic()
            ran.add(stage.name)
            try:
                self.begin(stage)
                with confined(self.confinement.get(WRITES_BELOW)):
                    self._execute_stage(stage)
                self.end(stage)
            except Exception as error:
                cause = root_cause(error)
                if not (stage.loops and len(self.stages) > 1 and isinstance(cause, MedkitError)):
                    raise
                failed[stage.name] = f'stage "{stage.name}": {cause}'
                announce(f"{self.label(stage)}: failed: {cause}")
                waiting = self.not_hindered(waiting, failed)
                continue
            announce(f"{self.label(stage)}: {time.monotonic() - began:.0f} s")
        if failed:
            raise MedkitError("; ".join(failed.values()))

    def label(self, stage: Stage) -> str:
        """Return ``[2/5] Title``."""
        return f"[{self.stages.index(stage) + 1}/{len(self.stages)}] {stage.title}"

    def follows(self, stage: Stage) -> set[str]:
        """Return the names of the chosen stages that come first, and whose running makes this one run again.

        Those are the stages that make what it needs. One that needs nothing of them is taken to read what any wrote,
        unless it is repeated; so is one that runs on ``--input``, since its needs are those of the model alone.
        """
        earlier = self.stages[: self.stages.index(stage)]
        makers = {s.name for s in earlier if any(is_one(made, need) for need in stage.needs for made in s.makes)}
        return makers if stage.loops or (makers and not stage.on_input) else {s.name for s in earlier}

    def not_hindered(self, waiting: Iterable[Stage], failed: Iterable[str]) -> list[Stage]:
        """Return those of the waiting stages that need nothing of failed ones, nor of others that need it.

        What a stage needs by a pattern may be made by others.
        """
        lost, kept = set(failed), []
        for stage in waiting:
            absent = {name for s in self.stages if s.name in lost for name in s.makes}
            any_will_do = any("*" in need for need in stage.needs)
            if absent & set(stage.needs) or (not any_will_do and self.follows(stage) & lost):
                lost.add(stage.name)
            else:
                kept.append(stage)
        return kept

    def is_done(self, stage: Stage, ran: set[str]) -> bool:
        """Return whether nothing is to do for a stage, when those named in ``ran`` have run just now."""
        return not (self.request.force or self.follows(stage) & ran) and self._holds(stage)

    def begin(self, stage: Stage) -> None:
        """Note what is about to run.

        Raises:
            DataError: a file that the stage needs is missing.
        """
        for name in stage.needs:
            if not found(self.model_dir, [name]):
                do = "run the stages before it" if self.request.model_dir is None else "give a trained run's folder"
                raise DataError(f'stage "{stage.name}" needs {self.model_dir / name}: {do}')
        self._receipt_file(stage).unlink(missing_ok=True)
        write_json(self.output_dir / "configs" / f"{stage.name}.json", self.configs[stage.name])

    def end(self, stage: Stage) -> None:
        """Write the receipt.

        Raises:
            DataError: the stage did not make what it should.
        """
        for name in stage.makes:
            if not found(self.output_dir, [name]):
                raise DataError(f'stage "{stage.name}" ended without writing {self.output_dir / name}')
        write_json(self._receipt_file(stage), self._receipt(stage, self.output_dir, self.model_dir))

    def _inherit(self) -> None:
        """Take over stages that the chosen ones need from the newest run that made them alike.

        Alike means the same configuration and data; a model that learned from another split is not taken.
        """
        if self.request.input_dir is not None or self.request.model_dir is not None:
            return
        missing = {name for name in needed_from_outside(self.stages) if not found(self.output_dir, [name])}
        for stage in [s for s in self.request.bundle.stages if missing & set(s.makes)]:
            for run in earlier_runs(self.request.home):
                if self._holds(stage, run):
                    for name in (*found(run, stage.makes), f"receipts/{stage.name}.json"):
                        with whole(self.output_dir / name) as temporary:
                            shutil.copyfile(run / name, temporary)
                    break

    @property
    def confinement(self) -> dict[str, str]:
        """The environment variables that let a bundle which nobody vouched for write in its run folder only."""
        return {} if self.request.trusted else {WRITES_BELOW: str(self.output_dir)}

    def _execute_stage(self, stage: Stage) -> None:
        if stage.distributed and self.request.processes > 1:
            done = subprocess.run([sys.executable, *self.command(stage)[1:]], check=False)
            if done.returncode:
                raise TrainingError(
                    f'stage "{stage.name}" failed in one of {self.request.processes} processes: its message is above'
                )
            return
        import logging

        from monai.bundle import ConfigWorkflow

        logging.getLogger("monai.bundle.workflows").setLevel(logging.WARNING)  # it announces each logging.conf
        workflow = ConfigWorkflow(**self._workflow(stage), **self.command_overrides(stage))
        try:
            workflow.initialize()
            workflow.run()
        except (RuntimeError, ValueError) as error:
            mendable = construction_error(error)
            if mendable is None:
                raise
            raise ConfigError(f'stage "{stage.name}": {mendable}') from error
        finally:
            workflow.finalize()

    def _receipt_file(self, stage: Stage) -> Path:
        return self.output_dir / "receipts" / f"{stage.name}.json"

    def _receipt(self, stage: Stage, output_dir: Path, model_dir: Path) -> dict[str, Any]:
        """Return what must still be true for the stage to count as done."""
        config = self.configs[stage.name]
        return {
            "config": digest(_identity(config)),
            "data": fingerprint(config.get("dataset_dir")),
            "files": _given_files(config, output_dir),
            "needs": hashes(model_dir, stage.needs),
            "makes": hashes(output_dir, stage.makes),
        }

    def _holds(self, stage: Stage, run: Path | None = None) -> bool:
        """Return whether this run, or another one's folder, holds the stage as this run would make it."""
        folder = run or self.output_dir
        try:
            stored = json.loads((folder / "receipts" / f"{stage.name}.json").read_text(encoding="utf-8"))
            return bool(stored == self._receipt(stage, folder, run or self.model_dir))
        except (OSError, ValueError):
            return False

    def _write_run_file(self) -> None:
        file = self.output_dir / "run.json"
        if file.is_file():
            return
        bundle = self.request.bundle
        versions = {d: importlib.metadata.version(d) for d in ("medkit", "monai", "torch", "pytorch-ignite", "numpy")}
        first = self.configs[self.stages[0].name]
        write_json(
            file,
            {
                "bundle": bundle.name,
                "title": bundle.metadata.get("name", bundle.name),
                "bundle_version": bundle.metadata.get("version"),
                "created": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
                "identity": self.identity,
                "seed": first.get("seed"),
                "overrides": {key: override.word(self.request.settled[key]) for key in self.request.overrides},
                "input": str(self.request.input_dir) if self.request.input_dir else None,
                "model_dir": str(self.model_dir),
                "data": fingerprint(first.get("dataset_dir")),
                "versions": versions,
                "python": sys.version.split()[0],
            },
        )

    def _point_latest(self) -> None:
        """Make ``latest`` (``latest_input`` for ``--input``) point at this run: it has ended well."""
        if self.request.output_dir is not None:
            return
        link = self.output_dir.parent / ("latest_input" if self.request.input_dir else "latest")
        temporary = link.with_name(f".{link.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(self.output_dir.name)
        temporary.replace(link)


def construction_error(error: BaseException) -> ConfigError | None:
    """Return a one-line error if MONAI failed to build a part: its options are then wrong, whatever it raised."""
    cause = root_cause(error)
    link: BaseException | None = error
    built = None
    while link is not None and not isinstance(cause, MedkitError):
        match = re.match(r"Failed to instantiate component '([^']*)' with keywords: (.*)", str(link))
        if lost := re.search(r"referring item .@([^`']*). is not defined", str(link)):
            name = lost[1].replace("::", "#")
            return ConfigError(f'"@{name}" leads nowhere: there is no key {name}. medkit check names the place')
        built = match or built
        link = link.__cause__
    if built is None:
        return None
    reason = " ".join(f"{type(cause).__name__}: {cause}".split())[:300]
    return ConfigError(f"{built[1]} cannot be built from {built[2]}: {reason}")


def _overrides(request: Request, stage: Stage, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the user and the stage's repetition override.

    What a loop is called belongs to the loop alone; several values for it are none for a stage without that loop.
    """
    looped = {name for other in request.bundle.stages for name in other.loops}
    given = {
        key: value
        for key, value in request.settled.items()
        if key not in stage.loops and not (key in looped and isinstance(value, list | tuple))
    }
    chosen = {**override.applicable(given, config), **loops.settings(stage, config)}
    monai_options.require_none(chosen, f"stage {stage.name}")
    return chosen


def _common(request: Request, looped: set[str], load: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what makes two runs the same: the stages' configurations without what loops choose, and other overrides.

    So repetitions that are asked for one after the other go to one folder; each has a receipt of its own.
    """
    given = {key: value for key, value in request.settled.items() if key not in looped and key not in _PLACES}
    common, placed = [], set[str]()
    for files in dict.fromkeys(stage.config for stage in request.bundle.written):
        if paths := [request.bundle.root / "configs" / name for name in files if "{" not in name]:
            own = override.applicable(given, load(paths))
            placed |= own.keys()
            common.append(_identity(load(paths, own)))
    return [*common, {key: value for key, value in given.items() if key not in placed}]


def _chosen_stages(request: Request) -> list[Stage]:
    bundle = request.bundle
    stages = [s for s in bundle.stages if s.on_input] if request.input_dir else list(bundle.stages)
    if not stages:
        raise ConfigError(f"bundle {bundle.name} leaves no model for new images: it has no stage for --input")
    if request.from_stage is not None:
        first = bundle.named(request.from_stage)[0]
        stages = stages[stages.index(first) :] if first in stages else []
    if request.stages:
        wanted = {stage.name for name in request.stages for stage in bundle.named(name)}
        stages = [s for s in stages if s.name in wanted]
    if not stages:
        raise ConfigError("no stage is left to run: what --stage, --from and --input choose has no stage in common")
    return stages


def _given_files(config: Mapping[str, Any], output_dir: Path) -> dict[str, str]:
    """Return the SHA-256 of every file outside the run that a top-level key names, such as weights or folds."""
    named = {key: value for key, value in config.items() if isinstance(value, str)}
    paths = {key: Path(value).absolute() for key, value in named.items() if os.sep in value or key == "weights"}
    outside = {key: path for key, path in paths.items() if not path.is_relative_to(output_dir) and path.is_file()}
    return {key: sha256(path) for key, path in outside.items()}


def _identity(config: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in config.items() if k not in _PLACES}


def _python() -> str:
    """Return ``python`` where the shell finds this interpreter under that name, else its path."""
    place = shutil.which("python")
    return "python" if place and Path(place).parent == Path(sys.executable).parent else sys.executable
