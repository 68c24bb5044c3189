"""What MONAI's own commands are told, which no bundle and no override may decide.

medkit hands overrides to MONAI beside such options: a top-level key of the same name would be taken for the option, and
with it files that nobody has audited.
"""

from __future__ import annotations

from collections.abc import Iterable

from medkit.errors import ConfigError, shown

OPTIONS = frozenset(
    (
        *("args", "args_file", "config_file", "final_id", "ignore_none", "init_id", "logging_file", "meta_file"),
        *("properties_path", "run_id", "self", "tracking", "workflow_name", "workflow_type"),
    )
)
"""Parameters of `monai.bundle.ConfigWorkflow`, of `monai.bundle.run`, and of what that passes overrides to."""


def require_none(keys: Iterable[str], where: str) -> None:
    """Check that no key is an option of MONAI's, on its command line either: ``-`` counts as ``_``, ``=`` ends a name.

    Args:
        keys: what is to override a configuration.
        where: who asks for it, for the error.

    Raises:
        ConfigError: one is.
    """
    for key in map(str, keys):
        name = key.lstrip("-").partition("=")[0].replace("-", "_")
        if not name or name in OPTIONS:
            raise ConfigError(
                f'{where} gives "{shown(key)}", an option of MONAI itself that nothing may override: '
                "leave it out, or give the key of the configuration another name"
            )
