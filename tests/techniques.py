"""Read docs/techniques: what each section says that a team did, and which part, configuration and test stand for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "techniques"
KINDS = ("Part", "Used", "Test", "Note", "Not built", "Not repeated")
_HEADING = re.compile(r"### (R\d+)\.(\d+)\.(\d+) (.+)")
_BULLET = re.compile(rf"- \*\*({'|'.join(KINDS)})\*\* (.+)")
_PLACE = re.compile(r"`(\w+)/(\w+\.yaml)` at `([^`]+)`")
_COMMAND = re.compile(r"`(medkit [^`]+)`")


@dataclass(frozen=True, slots=True)
class Technique:
    """One section ``### R0.3.6 …``: technique 6 of line 3 of report R0."""

    report: str
    line: int
    number: int
    title: str
    prose: str
    bullets: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.report}.{self.line}.{self.number}"

    @property
    def told(self) -> str:
        """What is said of the report itself, without our parts and notes."""
        return f"{self.title}\n{self.prose}"

    @property
    def parts(self) -> list[str]:
        """``kind name`` of a plugin's part, or what a configuration names as ``_target_``."""
        return re.findall(r"`([^`]+)`", " ".join(self.bullets.get("Part", [])))

    @property
    def places(self) -> list[tuple[str, str, str]]:
        """Bundle, config file and key."""
        return _PLACE.findall(self._used)

    @property
    def commands(self) -> list[str]:
        """``medkit …`` lines."""
        return _COMMAND.findall(self._used)

    @property
    def tests(self) -> list[str]:
        """``path::name``."""
        return [text.strip("`") for text in self.bullets.get("Test", [])]

    @property
    def _used(self) -> str:
        used = " ".join(self.bullets.get("Used", []))
        assert not _COMMAND.sub("", _PLACE.sub("", used)).strip("; "), f"{self}: not understood in {used}"
        return used


def read(page: Path) -> list[Technique]:
    """Return the sections of a page in order."""
    found = []
    for text in re.split(r"(?m)^(?=###? )", page.read_text(encoding="utf-8")):
        if not text.startswith("### "):
            continue
        heading, *lines = text.rstrip().splitlines()
        match = _HEADING.fullmatch(heading)
        assert match, f"{page.name}: not understood: {heading}"
        report, line, number, title = match.groups()
        prose, *bullets = re.split(r"(?m)^(?=- )", "\n".join(lines).strip())
        technique = Technique(report, int(line), int(number), title, prose)
        for bullet in bullets:
            kind = _BULLET.fullmatch(" ".join(bullet.split()))
            assert kind, f"{technique}: not understood: {bullet}"
            technique.bullets.setdefault(kind[1], []).append(kind[2])
        found.append(technique)
    return found
