"""Check plugins and bundles without executing any of a bundle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medkit import loops, trust
from medkit.bundle import Bundle
from medkit.configuration import load_config
from medkit.errors import MedkitError
from medkit.registry import Registry

# what MONAI's tools look for (monai/bundle/properties.py), by the config file they read
_REQUIRED = {
    "train.yaml": (
        "bundle_root",
        "device",
        "dataset_dir",
        "train#trainer",
        "train#trainer#max_epochs",
        "train#dataset",
        "train#inferer",
    ),
    "inference.yaml": ("bundle_root", "device", "dataset_dir", "dataset", "evaluator", "network_def", "inferer"),
}
_ROOTS = ("run", "initialize", "finalize")


@dataclass(slots=True)
class Report:
    """What a check found.

    Attributes:
        subject: ``plugins`` or the bundle's name.
        errors: what must be mended; any makes ``medkit check`` fail.
        notes: what is good to know.
        audit: what the bundle would execute.
    """

    subject: str
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    audit: trust.Audit | None = None

    def to_text(self) -> str:
        """Return it for people."""
        lines = [f"{self.subject}: {'not in order' if self.errors else 'in order'}"]
        lines += [f"  {note}" for note in self.notes]
        if self.audit is not None:
            lines += [f"  {line}" for line in trust.as_text(self.audit).splitlines()]
        return "\n".join([*lines, *(f"  ERROR {error}" for error in self.errors)])

    def to_json(self) -> dict[str, Any]:
        """Return it for programs."""
        audit = None if self.audit is None else trust.as_json(self.audit)
        return {"errors": self.errors, "notes": self.notes, "audit": audit}


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
    """Report what is missing in a bundle and what each stage would execute."""
    bundle = Bundle.read(path)
    configs = {}
    for stage in bundle.stages:
        merged = load_config(bundle.config_files(stage), bundle_root=bundle.root)
        loops.require_keys(stage, merged)
        settings = loops.settings(stage, merged)
        configs[stage.name] = load_config(bundle.config_files(stage), settings, bundle_root=bundle.root)
    audit = trust.audit_bundle(bundle.root, configs.values())
    report = Report(bundle.name, [f"{f.path}: {f.what} {f.value}: {f.reason}" for f in audit.untrusted], audit=audit)
    keys: set[str] = set()
    reached: set[str] = set()
    for stage in bundle.stages:
        config = configs[stage.name]
        for name in stage.config:
            missing = [i for i in _REQUIRED.get(name, ()) if not _has(config, i)]
            report.errors += [f"stage {stage.base}: MONAI's tools need the id {i}, {name} has none" for i in missing]
        keys |= set(config)
        reached |= _reached(config) | stage.set.keys() | stage.loops.keys()
    if keys - reached:
        report.errors.append(f"no stage uses the top-level keys {', '.join(sorted(keys - reached))}: remove them")
    report.errors = list(dict.fromkeys(report.errors))
    return report


def _has(config: Any, path: str) -> bool:
    node = config
    for step in path.split("#"):
        if not isinstance(node, Mapping) or step not in node:
            return False
        node = node[step]
    return True


def _reached(config: Mapping[str, Any]) -> set[str]:
    """Return the top-level keys that references lead to from what MONAI runs or reads."""
    reached = {key for key in (*_ROOTS, *(i.split("#")[0] for ids in _REQUIRED.values() for i in ids)) if key in config}
    waiting = list(reached)
    while waiting:
        for name in set(re.findall(r"@(\w+)", str(config[waiting.pop()]))) - reached:
            if name in config:
                reached.add(name)
                waiting.append(name)
    return reached | {key for key in config if key.startswith("_")}
