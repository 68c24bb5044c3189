"""Build parts by name: what bundles write in ``_target_``, e.g. ``_target_: medkit.network``.

Each function takes ``component``, the name that a plugin declared, and passes the other keywords on. A keyword that the
part does not know is an error that names the nearest one.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkit.errors import ConfigError, did_you_mean
from medkit.registry import registry

if TYPE_CHECKING:
    import numpy as np
    import torch


def build(kind: str, component: str, options: Mapping[str, Any]) -> Any:
    """Construct the part ``component`` of ``kind`` with ``options``.

    Raises:
        PluginError: no plugin, or more than one, offers the name.
        ConfigError: the part does not know an option, or lacks a required one.
    """
    target = registry().find(kind, component).component.load()
    signature = inspect.signature(target)
    known = [p.name for p in signature.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for option in options:
        if option not in known and not takes_any:
            hint = did_you_mean(option, known)
            raise ConfigError(f'{kind} "{component}" has no option "{option}".{hint} Options: {", ".join(known)}.')
    try:
        signature.bind(**options)
    except TypeError as error:
        raise ConfigError(f'{kind} "{component}": {error}. Options: {", ".join(known)}.') from error
    return target(**options)


def dataset(
    component: str,
    section: str,
    dataset_dir: str | None = None,
    fallback: str | None = None,
    fallback_options: Mapping[str, Any] | None = None,
    work_dir: str | None = None,
    **options: Any,
) -> list[dict[str, Any]]:
    """Return a data set's list of samples.

    Args:
        component: the data set that reads ``dataset_dir``.
        section: ``training``, ``validation``, ``test`` or ``all``.
        dataset_dir: where the data is; None means the fallback.
        fallback: the data set to make when there is no ``dataset_dir``. It is built once, under ``work_dir``.
        fallback_options: its options; a ``section`` among them takes the place of ``section``.
        work_dir: where the fallback may write.
        **options: for ``component`` alone.
    """
    if dataset_dir is not None:
        folder = Path(dataset_dir).expanduser().resolve()
        if not folder.is_dir():
            raise ConfigError(f'dataset_dir "{dataset_dir}" is not a folder: give the path of the data set')
        return build("dataset", component, {"dataset_dir": str(folder), "section": section, **options})
    if fallback is None or work_dir is None:
        raise ConfigError(f'data set "{component}" needs a folder: add --dataset_dir FOLDER')
    folder = Path(work_dir).expanduser().resolve() / fallback
    return build("dataset", fallback, {"dataset_dir": str(folder), "section": section, **(fallback_options or {})})


def network(component: str, **options: Any) -> torch.nn.Module:
    """Return a network: (B,C,H,W) → logits."""
    return build("network", component, options)


def loss(component: str, **options: Any) -> Any:
    """Return a loss: ``(logits, target)`` → scalar."""
    return build("loss", component, options)


def sampler(component: str, **options: Any) -> torch.utils.data.Sampler[int]:
    """Return a sampler over ``labels``."""
    return build("sampler", component, options)


def localizer(component: str, **options: Any) -> Any:
    """Return a localizer, usable as a MONAI Inferer."""
    return build("localizer", component, options)


def postprocessor(component: str, **options: Any) -> Any:
    """Return a post-processing transform."""
    return build("postprocessor", component, options)


def transform(component: str, **options: Any) -> Any:
    """Return a MONAI transform or image reader."""
    return build("transform", component, options)


def handler(component: str, **options: Any) -> Any:
    """Return an Ignite handler or a writer."""
    return build("handler", component, options)


def labels(data: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return the label matrix (N,K) float32 of a list of samples; a sample without a label is a row of NaN."""
    import numpy as np

    rows = [sample.get("label") for sample in data]
    classes = next((len(row) for row in rows if row is not None), 0)
    unknown = np.full(classes, np.nan, np.float32)
    return np.stack([unknown if row is None else np.asarray(row, np.float32) for row in rows])
