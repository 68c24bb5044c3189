"""The hooks: one a kind of part.

A plugin is a module with functions of these names, marked with `medkit.hookimpl` and published under the entry-point
group ``medkit``. A hook takes nothing and returns an iterable of `Component`; it declares, configurations construct.

Example:
    ```python
    from medkit import Component, hookimpl

    @hookimpl
    def medkit_losses():
        return [Component("my_loss", "my_package.loss:MyLoss", "what it does in one line", "Author 2026, doi:…")]
    ```

What a part of each kind must accept and return is written in `medkit.contracts`.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from medkit.component import Component

PROJECT = "medkit"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

HOOKS = {
    "dataset": "medkit_datasets",
    "network": "medkit_networks",
    "loss": "medkit_losses",
    "sampler": "medkit_samplers",
    "localizer": "medkit_localizers",
    "postprocessor": "medkit_postprocessors",
    "transform": "medkit_transforms",
    "handler": "medkit_handlers",
    "command": "medkit_commands",
}
"""The kinds of part and the hook of each."""


@hookspec
def medkit_datasets() -> Iterable[Component]:
    """Data sets: called as ``(dataset_dir, section, …)``, give a list of samples (`medkit.contracts.Dataset`)."""


@hookspec
def medkit_networks() -> Iterable[Component]:
    """Networks: ``(in_channels, out_channels, spatial_dims=2, …)``, give logits (`medkit.contracts.Network`)."""


@hookspec
def medkit_losses() -> Iterable[Component]:
    """Losses: ``(…)``, then ``(logits, target)``, give a scalar (`medkit.contracts.Loss`)."""


@hookspec
def medkit_samplers() -> Iterable[Component]:
    """Samplers: ``(labels, …)``, give indices (`medkit.contracts.Sampler`)."""


@hookspec
def medkit_localizers() -> Iterable[Component]:
    """Localizers: ``(network, …)``, then ``(images)``, give ``(logits, maps)`` (`medkit.contracts.Localizer`)."""


@hookspec
def medkit_postprocessors() -> Iterable[Component]:
    """Post-processing: ``(…)``, a dictionary transform, may learn (`medkit.contracts.Postprocessor`)."""


@hookspec
def medkit_transforms() -> Iterable[Component]:
    """MONAI transforms and image readers, called as ``(…)``."""


@hookspec
def medkit_handlers() -> Iterable[Component]:
    """Ignite handlers with ``attach(engine)``, and writers with ``run()``, called as ``(…)``."""


@hookspec
def medkit_commands() -> Iterable[Component]:
    """`click` commands that appear under ``medkit``; the component's name is the command's."""
