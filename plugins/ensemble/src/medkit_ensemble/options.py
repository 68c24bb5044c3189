"""How tables are merged, by name, and which options go together."""

from __future__ import annotations

from collections.abc import Sequence

from medkit.errors import ConfigError, did_you_mean

METHODS = ("mean", "union", "vote", "rank_mean", "fitted")
DECIDED = ("union", "vote")
"""The methods that take every model's own decisions and need no threshold."""
LABEL_MODES = ("multilabel", "multiclass")
THRESHOLDS = ("f1",)


def require_options(
    method: str, label_mode: str, thresholds: str | None, validation_files: str | Sequence[str] | None
) -> None:
    """Raise `ConfigError` where an option has a value that it cannot have, or that does not fit the others."""
    choices = (("method", method, METHODS), ("label_mode", label_mode, LABEL_MODES))
    for option, value, known in (*choices, *([("thresholds", thresholds, THRESHOLDS)] if thresholds else [])):
        if value not in known:
            hint = did_you_mean(str(value), known)
            raise ConfigError(f'merge_predictions: {option} "{value}" is not one of {", ".join(known)}.{hint}')
    learns = method == "fitted" or thresholds is not None
    reasons = (
        (
            label_mode == "multiclass" and method not in ("mean", "fitted"),
            f"{method} may give an image several classes or none: for multiclass, choose mean or fitted",
        ),
        (
            label_mode == "multiclass" and thresholds is not None,
            "multiclass has no thresholds, the most probable class is present: leave thresholds out",
        ),
        (
            method in DECIDED and thresholds is not None,
            f"{method} takes each model's own decisions: leave thresholds out, or choose another method",
        ),
        (
            method == "rank_mean" and thresholds is None,
            "a rank of one half means nothing: give rank_mean thresholds f1 and validation_files",
        ),
        (
            learns and not validation_files,
            f"{'fitted' if method == 'fitted' else 'thresholds'} learns from labelled images: give validation_files",
        ),
        (
            bool(validation_files) and not learns,
            "validation_files are for the method fitted and for thresholds f1: ask for one of them",
        ),
    )
    for wrong, reason in reasons:
        if wrong:
            raise ConfigError(f"merge_predictions: {reason}")
