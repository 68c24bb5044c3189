"""Writes docs/reference from the code (hooks, commands, parts, bundles), and a run's scores as numbers of images.

`python docs/generate.py` writes the pages; a test regenerates them and compares.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import frequencies
import from_bundles
import from_code
import pieces

DOCS = Path(__file__).resolve().parent
EXAMPLE = "clinicians/worked_example.md"


def pages() -> dict[str, str]:
    """Return every page by its path below docs; imports every part."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that parts import
        made = {"hooks": from_code.hooks(), "commands": from_code.commands(), "parts": from_code.index()}
        made |= {from_code.plural(kind): from_code.parts(kind) for kind in from_code.kinds()}
    made |= {f"bundles/{path.name}": from_bundles.bundle(path) for path in sorted((DOCS.parent / "bundles").iterdir())}
    return {f"reference/{name}.md": page for name, page in made.items()} | {EXAMPLE: worked_example()}


def worked_example() -> str:
    """Return the page that says in numbers of images what a run's metrics.json says."""
    metrics = json.loads((DOCS / "clinicians" / "metrics.json").read_text(encoding="utf-8"))
    return frequencies.page(metrics, pieces.MADE.format("docs/clinicians/metrics.json"))


def main() -> None:
    """Write the pages, and remove those that nothing stands behind any more."""
    made = pages()
    for old in set(DOCS.glob("reference/**/*.md")) - {DOCS / name for name in made}:
        old.unlink()
    for name, page in made.items():
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
