"""Docstrings and tables as Markdown."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator

MADE = "<!-- made from {}: change it there, then run python docs/generate.py -->\n"


def markdown(docstring: str) -> str:
    """Return a Google-style docstring as Markdown, its sections last."""
    text, sections = divided(inspect.cleandoc(docstring))
    return "\n\n".join([text.strip(), *titled(sections)])


def titled(sections: dict[str, str]) -> Iterator[str]:
    """Yield each section under its title; arguments, attributes and errors as a list."""
    for title, body in sections.items():
        entries = list(arguments(body)) if title in ("Args", "Attributes", "Raises") else []
        yield f"**{title}**\n\n" + ("\n".join(f"- `{names}`: {meaning}" for names, meaning in entries) or body)


def line(text: str | None) -> str:
    """Return a text as one line."""
    return " ".join((text or "").split())


def table(rows: list[tuple[str, ...]]) -> str:
    """Return rows as a table, the first as its heads."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    cells.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def page(blocks: Iterable[str]) -> str:
    """Return a page of blocks, empty ones left out."""
    return "\n\n".join(block.strip() for block in blocks if block.strip()) + "\n"


def divided(docstring: str) -> tuple[str, dict[str, str]]:
    """Divide a Google-style docstring into its text and its sections, which are indented."""
    section = re.compile(r"(?m)^(Args|Raises|Example|Reference|Returns|Attributes):\n((?: +.*(?:\n|$)|\n(?= ))+)")
    return section.sub("", docstring), {title: textwrap.dedent(body) for title, body in section.findall(docstring)}


def arguments(section: str) -> Iterator[tuple[str, str]]:
    """Yield names and meaning of each entry of a section."""
    for entry in re.split(r"(?m)^(?=\S)", section):
        names, _, meaning = entry.partition(": ")
        if meaning:
            yield names, line(meaning)
