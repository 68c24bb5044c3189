"""What a bundle would execute, found without executing it.

A MONAI configuration can run anything: any ``_target_`` is imported and called, any ``$`` string is evaluated, ``%``
macros bring in other files, logging.conf names classes, MONAI puts the bundle's folder first on the import path, and a
checkpoint is a pickle. An `Audit` lists all of it and says what is trusted: names of `TRUSTED_TARGETS`, parts that
installed plugins declare, the grammar of `medkit.expressions`, and checkpoints of weights alone.

```python
config = load_config([bundle / "configs/train.yaml"], {"train#trainer#max_epochs": 2})
require_trust(audit(config, logging_conf=bundle / "configs/logging.conf", bundle_root=bundle))
```
"""

from __future__ import annotations

import configparser
import dataclasses
import functools
import importlib.machinery
import operator
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from monai.bundle.utils import EXPR_KEY, ID_REF_KEY, MACRO_KEY

from medkit.configuration import is_inside, walk
from medkit.errors import PluginError, TrustError, did_you_mean, shown
from medkit.expressions import why_refused
from medkit.hookspecs import HOOKS
from medkit.pickles import is_pickle, why_not_weights
from medkit.registry import registry
from medkit.trusted_targets import TRUSTED_TARGETS

_NOT_LITERAL = "not a literal name"
_LOGGING = {
    "class": ("StreamHandler", "NullHandler", "logging.StreamHandler", "logging.NullHandler", "logging.Formatter"),
    "args": ("", "()", "(sys.stdout,)", "(sys.stderr,)"),
    "kwargs": ("", "{}"),
}
"""The options of logging.conf that `logging.config.fileConfig` evaluates, and all that they may hold."""
_INERT = ("keys", "level", "handlers", "qualname", "propagate", "format", "datefmt", "style", "validate", "formatter")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that would run.

    Attributes:
        path: where, e.g. ``train#trainer``, ``logging.conf#handler_x#class`` or a file of the bundle.
        what: ``target``, ``expression``, ``macro``, ``component``, ``requires``, ``logging``, ``code``, ``link`` or
            ``checkpoint``.
        value: as written.
        trusted: whether it may run unasked.
        reason: why not; empty where trusted.
    """

    path: str
    what: str
    value: str
    trusted: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything that would run, in the order of the configuration; ``a | b`` joins the audits of two stages."""

    findings: tuple[Finding, ...]

    @property
    def untrusted(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not finding.trusted)

    def __or__(self, other: Audit) -> Audit:
        return Audit(tuple(dict.fromkeys(self.findings + other.findings)))


# -- the audit ---------------------------------------------------------------------------------------------------------
def audit(
    config: Mapping[str, Any],
    *,
    metadata: Mapping[str, Any] | None = None,
    logging_conf: str | os.PathLike[str] | None = None,
    bundle_root: str | os.PathLike[str] | None = None,
    allowed_targets: Collection[str] = TRUSTED_TARGETS,
) -> Audit:
    """List what a configuration would run. Nothing of the bundle's is executed or imported.

    All of it counts, reached or not: MONAI evaluates import statements wherever they stand.

    Args:
        config: from `load_config`.
        metadata: takes the place of the configuration's ``_meta_``.
        logging_conf: the bundle's; may be missing.
        bundle_root: searched for code, which could shadow any module, since MONAI puts the folder on the import path.
        allowed_targets: exact names for ``_target_``.
    """
    tree = dict(config) if metadata is None else {**config, ConfigParser.meta_key: metadata}
    findings = [f for _, _, path, value in walk(tree) for f in _judge(path.replace("::", "#"), value, allowed_targets)]
    if logging_conf is not None and Path(logging_conf).is_file():
        findings += _judge_logging(Path(logging_conf))
    if bundle_root is not None:
        findings += _find_code(Path(bundle_root))
    return Audit(tuple(findings))


def audit_bundle(root: Path, configs: Iterable[Mapping[str, Any]]) -> Audit:
    """List what the stages of a bundle would run, with its logging.conf and its folder."""
    folder = audit({}, logging_conf=root / "configs" / "logging.conf", bundle_root=root)
    return functools.reduce(operator.or_, [*map(audit, configs), folder])


def _judge(path: str, value: Any, allowed: Collection[str]) -> Iterator[Finding]:
    if isinstance(value, Mapping) and "_target_" in value:
        yield from _judge_part(path, value, allowed)
    elif isinstance(value, str) and value.startswith(EXPR_KEY):
        reason = why_refused(value)
        yield Finding(path, "expression", value, not reason, reason)
    elif isinstance(value, str) and value.startswith(MACRO_KEY):
        yield Finding(path, "macro", value, False, "leads outside the bundle, or stands inside another macro")


def _judge_part(path: str, part: Mapping[str, Any], allowed: Collection[str]) -> Iterator[Finding]:
    target, reason = part["_target_"], ""
    if not _is_literal(target):
        reason = _NOT_LITERAL
    elif target not in allowed:
        reason = f"not on the list of trusted targets;{did_you_mean(target, allowed)}".removesuffix(";")
    elif part.get("_mode_", "default") not in ("default", "callable") or "_debug_" in part:
        reason = "starts a debugger"
    yield Finding(path, "target", str(target), not reason, reason)
    if "_requires_" in part:  # what it holds is judged where the walk comes to it
        yield Finding(f"{path}#_requires_", "requires", str(part["_requires_"]), True)
    kind = next((kind for kind in HOOKS if target == f"medkit.{kind}"), None)
    if kind is not None:
        yield _judge_component(f"{path}#component", kind, part.get("component"))
    if kind == "dataset" and part.get("fallback") is not None:
        yield _judge_component(f"{path}#fallback", kind, part["fallback"])


def _judge_component(path: str, kind: str, name: Any) -> Finding:
    reason = "" if _is_literal(name) else _NOT_LITERAL
    if not reason:
        try:
            registry().find(kind, name)
        except PluginError as error:
            reason = str(error)
    return Finding(path, "component", str(name), not reason, reason)


def _is_literal(value: Any) -> bool:
    return isinstance(value, str) and not value.startswith((ID_REF_KEY, EXPR_KEY, MACRO_KEY))


def _judge_logging(file: Path) -> Iterator[Finding]:
    """Judge each option of logging.conf in every section, [DEFAULT] included; interpolation is never trusted."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
    except (configparser.Error, UnicodeDecodeError) as error:
        yield Finding(file.name, "logging", "", False, f"cannot be read: {error}")
    for section, options in parser.items():
        for option, value in options.items():
            if option not in _INERT:
                known = value.strip() in _LOGGING.get(option, ())
                reason = "" if known else "only handlers that write to stdout and stderr are trusted"
                yield Finding(f"{file.name}#{section}#{option}", "logging", value, known, reason)


def _find_code(root: Path) -> Iterator[Finding]:
    """Find what Python could import from the bundle's folder or unpickle, and links that lead elsewhere."""
    importable = (*importlib.machinery.all_suffixes(), ".dist-info", ".egg-info", ".egg")
    for folder, folders, files in os.walk(root):
        for path in sorted(Path(folder, name) for name in folders + files):
            name, what, reason = path.relative_to(root).as_posix(), "code", ""
            if path.name.lower().endswith(importable):
                reason = "a bundle holds no code, plugins do"
            elif path.is_symlink() and not is_inside(path, root):
                what, reason = "link", "leads out of the bundle"
            elif is_pickle(path):
                what, reason = "checkpoint", why_not_weights(path)
            if reason:
                yield Finding(name, what, "", False, reason)


# -- what a person reads -----------------------------------------------------------------------------------------------
def require_trust(audit: Audit) -> None:
    """Return if all that would run is trusted.

    Raises:
        PluginError: a part is not installed, which ``--trust`` would not mend.
        TrustError: names the first few and says how many there are.
    """
    untrusted = audit.untrusted
    for finding in untrusted:
        if finding.what == "component" and finding.reason != _NOT_LITERAL:
            raise PluginError(f"key {shown(finding.path)}: {finding.reason}")
    if untrusted:
        first = "; ".join(" ".join(_columns(finding)) for finding in untrusted[:3])
        more = f"; and {len(untrusted) - 3} more" if len(untrusted) > 3 else ""
        raise TrustError(
            f"{len(untrusted)} of {len(audit.findings)} things that would run are not trusted: {first}{more}. "
            '"--trust" runs them anyway, "medkit check BUNDLE" lists all'
        )


def as_text(audit: Audit) -> str:
    """Return a table of what would run, the untrusted first, and a last line with the counts."""
    rows = [("" if f.trusted else "NOT TRUSTED", *_columns(f)) for f in sorted(audit.findings, key=lambda f: f.trusted)]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0])).rstrip() for row in rows]
    counts = ", ".join(f"{what} {count}" for what, count in Counter(f.what for f in audit.findings).items())
    return "\n".join([*lines, f"{len(audit.findings)} things would run ({counts}), {len(audit.untrusted)} not trusted"])


def as_json(audit: Audit) -> dict[str, Any]:
    """Return ``{"trusted": bool, "findings": [{path, what, value, trusted, reason}, …]}``."""
    findings = [dataclasses.asdict(finding) for finding in audit.findings]
    return {"trusted": not audit.untrusted, "findings": findings}


def _columns(finding: Finding) -> tuple[str, str, str, str]:
    reason = f"({shown(finding.reason, 200)})" if finding.reason else ""
    return shown(finding.path), finding.what, shown(finding.value), reason
