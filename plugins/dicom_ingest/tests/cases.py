"""Several hundred synthesised files that cover the rules of rendering, by name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from . import cases_codecs, cases_colour, cases_contrast, cases_frames, cases_samples
from .synthetic import Case

PARTS = (cases_samples, cases_contrast, cases_colour, cases_frames, cases_codecs)


@cache
def all_cases() -> dict[str, Case]:
    """Return name → case, in a fixed order; data sets are not to be changed."""
    found = [case for part in PARTS for case in part.cases()]
    named = {case.name: case for case in found}
    assert len(named) == len(found), "two cases have one name"
    return named


def by_rule() -> Iterator[tuple[str, list[Case]]]:
    """Yield each rule and its cases."""
    cases = all_cases().values()
    for rule in dict.fromkeys(case.rule for case in cases):
        yield rule, [case for case in cases if case.rule == rule]
