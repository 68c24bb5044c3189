"""docs/techniques retells every line of the reports; what it names is installed, used where it says, and tested."""

from __future__ import annotations

import ast
import functools
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from medkit.bundle import Bundle
from medkit.cli import cli
from medkit.configuration import walk
from medkit.overrides import parse
from medkit.registry import registry
from medkit.request import Request
from medkit.runs import Run

from .techniques import FOLDER, ROOT, Technique, read

REPORTS = Path(os.environ.get("MEDKIT_DATA", ROOT.parent / "shared" / "data")).parent / "REPORTS.md"
PAGES = sorted(FOLDER.glob("r*.md"))
TECHNIQUES = [technique for page in PAGES for technique in read(page)]
WORDS_ALIKE = 8  # so many in a row are a copied sentence

by_technique = pytest.mark.parametrize("technique", TECHNIQUES, ids=str)


def test_numbers_are_unique_and_in_order():
    for page in PAGES:
        of_page = [t for t in TECHNIQUES if t.report == page.stem.upper()]
        lines = [int(n) for n in re.findall(rf"(?m)^## {page.stem.upper()}\.(\d+) ", page.read_text(encoding="utf-8"))]
        assert lines == list(range(1, len(lines) + 1)), page.name
        sizes = Counter(t.line for t in of_page)
        expected = [(line, number) for line in lines for number in range(1, sizes[line] + 1)]
        assert [(t.line, t.number) for t in of_page] == expected, page.name
        assert all(sizes[line] for line in lines), page.name
    assert Counter(t.report.lower() for t in TECHNIQUES).keys() == {page.stem for page in PAGES}


@by_technique
def test_it_has_a_part_a_bundle_and_a_test_or_says_what_is_missing(technique):
    assert technique.prose
    if "Not built" in technique.bullets:
        assert technique.bullets.keys() <= {"Not built", "Note"}
    else:
        assert technique.parts
        assert technique.places or technique.commands
        assert technique.tests


@by_technique
def test_its_parts_are_installed(technique):
    for part in technique.parts:
        kind, _, name = part.rpartition(" ")
        if kind:
            registry().find(kind, name)


@by_technique
def test_its_parts_are_named_where_it_says(technique):
    places = [_at(bundle, file, key) for bundle, file, key in technique.places]
    used = [*places, *map(_of_command, technique.commands)]
    named = [{part for part in technique.parts if _names(part, node)} for node in used]
    for place, parts in zip([*technique.places, *technique.commands], named, strict=True):
        assert parts, f"{place} names none of {technique.parts}"
    assert set(technique.parts) == set().union(*named)


def _at(bundle: str, file: str, key: str) -> Any:
    """Return what a config file has at a key, whose steps may be written as one: ``train#dataset#data: …``."""
    node = yaml.safe_load((ROOT / "bundles" / bundle / "configs" / file).read_text(encoding="utf-8"))
    steps = key.split("#")
    while steps:
        length = next((n for n in range(len(steps), 0, -1) if "#".join(steps[:n]) in node), 0)
        assert length, f"{bundle}/{file} has no {key}"
        node, steps = node["#".join(steps[:length])], steps[length:]
    return [key, node]


def _of_command(command: str) -> Any:
    """Return what a command runs: the configurations of the stages of ``medkit run``, else the command by its name."""
    _, name, *words = shlex.split(command)
    if name == "run":
        return _planned(tuple(words))
    for bundle in (word for word in words if word.startswith("bundles/")):
        assert (ROOT / bundle / "configs" / f"{name}.yaml").is_file()
    options = {option for p in registry().find("command", name).component.load().params for option in p.opts}
    assert {word for word in words if word.startswith("--")} <= options
    return {"_target_": "medkit.command", "component": name}


@functools.cache
def _planned(words: tuple[str, ...]) -> list[dict[str, Any]]:
    with cli.commands["run"].make_context("run", list(words)) as context:
        given = context.params
    bundle = Bundle.read(ROOT / given["bundle"])
    request = Request(bundle, overrides=parse(given["overrides"]), stages=given["stages"], output_dir=Path("nowhere"))
    run = Run.plan(request)
    return [run.configs[stage.name] for stage in run.stages]


def _names(part: str, node: Any) -> bool:
    kind, _, name = part.rpartition(" ")
    return any(_named(kind, name, value) for _, _, _, value in walk(node) if isinstance(value, dict))


def _named(kind: str, name: str, node: dict[str, Any]) -> bool:
    if not kind:
        return node.get("_target_") == name
    of_kind = node.get("_target_", f"medkit.{kind}") == f"medkit.{kind}"
    return of_kind and name in (node.get("component"), node.get("fallback"))


@by_technique
def test_its_tests_exist(technique):
    for test in technique.tests:
        path, _, name = test.partition("::")
        assert name in _functions(path), test


@functools.cache
def _functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_index_counts_every_page_and_lists_what_is_missing():
    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    for page in PAGES:
        of_page = [t for t in TECHNIQUES if t.report == page.stem.upper()]
        missing = [sum(kind in t.bullets for t in of_page) for kind in ("Not built", "Not repeated")]
        said = "{} techniques in {} lines; not built {}, not repeated {}"
        counts = said.format(len(of_page), len({t.line for t in of_page}), *missing)
        assert re.search(rf"(?m)^- \[{page.stem.upper()}\]\({page.name}\), .*: {counts}$", index), counts
    for kind in ("Not built", "Not repeated"):
        (section,) = re.findall(rf"(?ms)^## {kind}\n(.*?)(?=^## |\Z)", index)
        listed = re.findall(r"(?m)^- \[(R[\d.]+)\]", section)
        assert listed == [str(t) for t in TECHNIQUES if kind in t.bullets]


# -- beside the reports themselves, which are no part of the project ---------------------------------------------------


def report_lines() -> Iterator[tuple[str, int, str]]:
    """Yield (report, number, text) of every paragraph, bullet and table row of a result."""
    report = ""
    for block in re.split(r"(?m)\n+(?=## |- |  \|)|\n\n+", REPORTS.read_text(encoding="utf-8")):
        text = block.strip()
        if heading := re.match(r"## (R\d+) .*\n*", text):
            report, number, text = heading[1], 0, text[heading.end() :]
        if report and text and not re.fullmatch(r"\|[-|]+\||\| loss .*", text):
            number += 1
            yield report, number, text


def figures(text: str) -> set[str]:
    """Return the numbers of a text, those within names left out."""
    return set(re.findall(r"(?<![\w.])\d+(?:[.,]\d+)*(?:e-\d)?|(?<!\w)\.\d+", text))


def names(text: str) -> set[str]:
    """Return what is written with a capital or a digit inside: networks, abbreviations."""
    return set(re.findall(r"\b(?=\w*[a-zA-Z]\w*)(?=\w+[A-Z0-9])\w+", text))


@pytest.fixture
def reports() -> list[tuple[str, int, str]]:
    if not REPORTS.is_file():
        pytest.skip(f"the reports are not at {REPORTS}: set MEDKIT_DATA to the folder beside them")
    return list(report_lines())


def of(report: str, number: int) -> list[Technique]:
    return [t for t in TECHNIQUES if (t.report, t.line) == (report, number)]


def test_every_line_of_the_reports_is_retold(reports):
    lines = [(report, number) for report, number, _ in reports]
    assert sorted({(t.report, t.line) for t in TECHNIQUES}) == lines


def test_every_figure_and_name_of_a_line_is_retold(reports):
    for report, number, text in reports:
        told = "\n".join(t.told for t in of(report, number))
        missing = (figures(text) - figures(told)) | (names(text) - names(told))
        assert not missing, f"{report}.{number}"


def test_no_figure_is_told_that_the_line_does_not_have(reports):
    for report, number, text in reports:
        for technique in of(report, number):
            assert not figures(technique.told) - figures(text), technique


def test_no_sentence_is_copied(reports):
    def runs(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"\w+", text.lower())
        return set(zip(*(words[n:] for n in range(WORDS_ALIKE))))

    theirs = set().union(*(runs(text) for _, _, text in reports))
    for technique in TECHNIQUES:
        assert not runs(technique.told) & theirs, technique
