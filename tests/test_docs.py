"""The written pages: the reference says what the code says, and links lead somewhere."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


@pytest.fixture
def generate(monkeypatch):
    """The module that writes the pages; it stands beside them, in no package."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    return importlib.import_module("generate")


def test_the_reference_is_what_the_code_says(generate):
    made = generate.pages()
    there = {str(p.relative_to(ROOT / "docs")) for p in (ROOT / "docs" / "reference").rglob("*.md")}
    stale = {n for n in made if not (ROOT / "docs" / n).is_file() or (ROOT / "docs" / n).read_text("utf-8") != made[n]}
    stale |= there - made.keys()
    assert not stale, f"out of date: {', '.join(sorted(stale))}: run `python docs/generate.py` and commit"


def test_numbers_of_images_are_the_counts_that_the_run_made(generate):
    metrics = json.loads((ROOT / "docs" / "clinicians" / "metrics.json").read_text(encoding="utf-8"))
    for finding, true in metrics["counts"]["per_class"].items():
        made = generate.frequencies.counts(metrics, finding, of=metrics["images"])
        assert (made.present, made.hits) == (true["tp"] + true["fn"], true["tp"])
        assert made.false_alarms == true["fp"]


def test_a_rare_finding_makes_most_alarms_false(generate):
    scores = {"sensitivity": {"value": 0.9, "n": 50}, "specificity": {"value": 0.9, "n": 50}}
    metrics = {"synthetic": False} | {name: {"per_class": {"Mass": score}} for name, score in scores.items()}
    said = generate.frequencies.sentences(metrics, "Mass", present=10)
    assert said == (
        "Of 1,000 such images, **10** show Mass. The model names it in **9** of them and misses **1**. Of the 990 that "
        "do not show it, it names it in **99** all the same. So of the 108 images that it names, **9** show Mass: "
        "8 in 100."
    )


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MkDocs both make them from plain words."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_every_link_between_files_leads_to_a_file_and_a_heading():
    written = [p for p in ROOT.rglob("*.md") if not {".venv", "site", "runs", "node_modules"} & set(p.parts)]
    assert len(written) > 60
    broken = []
    for page in written:
        text = re.sub(r"(?ms)^ *```.*?^ *```|`[^`\n]*`", "", page.read_text(encoding="utf-8"))
        for target, anchor in LINK.findall(text):
            file = (page.parent / target).resolve() if target else page
            if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
                broken.append(f"{page.relative_to(ROOT)}: {target}#{anchor}")
    assert not broken
