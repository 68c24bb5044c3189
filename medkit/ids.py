"""The ids that MONAI's tools look for in a bundle, and top-level keys that nothing uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from medkit.bundle import Stage
from medkit.keys import reached

# monai/bundle/properties.py, by the config file that they are read from
_REQUIRED = {
    "train": (
        "bundle_root",
        "device",
        "dataset_dir",
        "train#trainer",
        "train#trainer#max_epochs",
        "train#dataset",
        "train#inferer",
    ),
    "inference": ("bundle_root", "device", "dataset_dir", "dataset", "evaluator", "network_def", "inferer"),
}
_ROOTS = ("run", "initialize", "finalize", "imports", *(i.split("#")[0] for ids in _REQUIRED.values() for i in ids))


def problems(stages: Iterable[Stage], configs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield each id that is missing, and the top-level keys that no stage needs.

    Args:
        stages: those without a configuration do not count.
        configs: stage name → merged configuration.
    """
    there, used = set[str](), set[str]()
    for stage in stages:
        if (config := configs.get(stage.name)) is None:
            continue
        for name in stage.config:
            missing = [i for i in _REQUIRED.get(Path(name).stem, ()) if not _has(config, i)]
            yield from (f"stage {stage.base}: MONAI's tools need the id {i}, {name} has none" for i in missing)
        there |= {key for key in config if not key.startswith("_")}
        used |= reached(config, (*_ROOTS, stage.run_id)) | stage.set.keys() | stage.loops.keys()
    if there - used:
        yield f"no stage uses the top-level keys {', '.join(sorted(there - used))}: remove them"


def _has(config: Any, path: str) -> bool:
    node = config
    for step in path.split("#"):
        if not isinstance(node, Mapping) or step not in node:
            return False
        node = node[step]
    return True
