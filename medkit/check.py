"""Check plugins and bundles. Of a bundle nothing is executed, until the audit has found that all of it is trusted."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medkit import ids, keys, lock, loops, metadata, overrides, trust, yaml_traps
from medkit.bundle import Bundle
from medkit.configuration import is_inside, load_config
from medkit.effects import Effects, effects, offers
from medkit.errors import MedkitError, shown
from medkit.named_paths import named_paths
from medkit.plain_bundle import config_names, read_plain
from medkit.registry import Registry


@dataclass(slots=True)
class Report:
    """What a check found.

    Attributes:
        subject: ``plugins`` or the bundle's name.
        errors: what must be mended; any makes ``medkit check`` fail.
        notes: what is good to know.
        audit: what the bundle would execute.
        effects: the same by what it does, with the paths that it would read and write.
    """

    subject: str
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    audit: trust.Audit | None = None
    effects: Effects | None = None

    def to_text(self) -> str:
        """Return it for people."""
        lines = [f"{self.subject}: {'not in order' if self.errors else 'in order'}"]
        lines += [f"  {shown(note, 1000)}" for note in self.notes]
        if self.audit is not None:
            lines += [f"  {line}" for line in trust.as_text(self.audit).splitlines()]
        if self.effects is not None:
            lines += [f"  {line}" for line in self.effects.as_text().splitlines()]
        return "\n".join([*lines, *(f"  ERROR {shown(error, 1000)}" for error in self.errors)])

    def to_json(self) -> dict[str, Any]:
        """Return it for programs."""
        audit = None if self.audit is None else trust.as_json(self.audit)
        does = None if self.effects is None else self.effects.as_json()
        return {"errors": self.errors, "notes": self.notes, "audit": audit, "effects": does}


def check_plugins(found: Registry) -> Report:
    """Report plugins that failed and names that several offer."""
    report = Report("plugins", notes=[f"{len(found.offers)} parts"])
    report.notes += [f"switched off: {name}" for name in found.disabled]
    report.notes += [f"{n.plugin} {n.version}: {n.text}" for n in found.notices]
    report.errors += [f"{f.plugin} {f.version} failed to load: {f.error}" for f in found.failures]
    for offer in found.offers:
        try:
            found.find(offer.kind, offer.component.name)
        except MedkitError as error:
            if str(error) not in report.errors:
                report.errors.append(str(error))
    return report


def check_bundle(path: Path) -> Report:
    """Report what is missing or wrong in a bundle and what each stage would do.

    A bundle without ``configs/medkit.yaml`` is checked config file by config file.
    """
    is_plain = (path / "configs").is_dir() and not (path / "configs" / "medkit.yaml").exists()
    bundle = read_plain(path) if is_plain else Bundle.read(path)
    report = Report(bundle.name, lock.changes(bundle.root))
    names = ["medkit.yaml", "metadata.json", "logging.conf", *config_names(bundle.root)]
    files = [name for name in names if (bundle.root / "configs" / name).is_file()]
    for file in [bundle.root / "configs" / name for name in files if name != "logging.conf"]:
        if is_inside(file, bundle.root):
            report.errors += yaml_traps.traps(file)
    configs = _configs(bundle, report)
    report.audit = trust.audit_bundle(bundle.root, configs.values())
    report.errors += [f"{f.path}: {f.what} {f.value}: {f.reason}" for f in report.audit.untrusted]
    paths = list(named_paths(bundle, configs))
    report.effects = effects(report.audit, list(configs.values()), files, paths)
    absent = [f"stage {p.stage}: {p.key} names {p.path}: {p.missing}" for p in paths if p.missing]
    (report.notes if is_plain else report.errors).extend(absent)
    different = {stage.config: configs[stage.name] for stage in reversed(bundle.stages) if stage.name in configs}
    for merged, config in different.items():
        report.errors += [f"{' + '.join(merged)}, key {problem}" for problem in keys.problems(config)]
    report.errors += ids.problems(bundle.stages, configs)
    report.errors += [*metadata.problems(bundle.metadata), *metadata.missing_packages(bundle.metadata)]
    report.notes += metadata.other_packages(bundle.metadata, offers(configs.values()))
    if report.errors:
        why = "not all that it would do is trusted" if report.audit.untrusted else "the errors come first"
        report.notes.append(f"not run: its networks on a fake batch, because {why}")
    else:
        from medkit import fake_batch

        report.errors += fake_batch.problems(different.values(), bundle.metadata)
        if all(config.get("network_def") is None for config in different.values()):
            report.notes.append("not run: a network on a fake batch, because no stage has a network_def")
    report.errors, report.notes = list(dict.fromkeys(report.errors)), list(dict.fromkeys(report.notes))
    return report


def _configs(bundle: Bundle, report: Report) -> dict[str, dict[str, Any]]:
    """Return the configuration of each stage, also as ``--input`` changes it, and of each file that no stage names."""
    configs = {}
    load = functools.partial(load_config, bundle_root=bundle.root)
    as_written = functools.cache(lambda names: load([bundle.root / "configs" / name for name in names]))
    for stage in bundle.stages:
        try:
            merged = as_written(stage.config)
            loops.require_keys(stage, merged)
            settings = loops.settings(stage, merged)
            configs[stage.name] = load(bundle.config_files(stage), settings)
            if stage.on_input and bundle.on_input:
                on_input = settings | overrides.applicable(bundle.on_input, merged)
                configs[f"{stage.name} --input"] = load(bundle.config_files(stage), on_input)
        except MedkitError as error:
            report.errors.append(f"stage {stage.base}: {error}")
    for name in sorted(set(config_names(bundle.root)) - {name for stage in bundle.stages for name in stage.config}):
        try:
            configs[name] = as_written((name,))
        except MedkitError as error:
            report.errors.append(str(error))
    return configs
