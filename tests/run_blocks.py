"""Runs the blocks of pages in order in the working directory, all in one process: steps as JSON on the standard input.

A step is ``[PAGE, "exec", SOURCE]``, ``[PAGE, "python", WORD, …]`` or ``[PAGE, "medkit", WORD, …]``. Words in capitals
stand for what a reader has.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

from medkit.cli import cli

SMALLER = {"tune": ["--trials", "1"]}
"""What a command is given beside its words, so that it ends soon."""


def run(words: list[str], made: int) -> None:
    """Run one medkit command; OUTPUT is the folder made last, each RUN the next finished run."""
    runs = itertools.cycle(sorted(str(p.parent) for p in Path("runs/chest_gradcam").glob("2*/metrics.json")))
    words = [next(runs) if word == "RUN" else f"OUTPUT{made}" if word == "OUTPUT" else word for word in words]
    print("$ medkit", *words, flush=True)
    cli.main(args=words + SMALLER.get(words[0], []), prog_name="medkit", standalone_mode=False)


def main() -> None:
    names: dict[str, dict[str, object]] = {}
    made = 0
    for page, kind, *words in json.load(sys.stdin):
        print(f"-- {page}", flush=True)
        if kind == "exec":
            exec(compile(words[0], page, "exec"), names.setdefault(page, {}))
        elif kind == "python":
            subprocess.run([sys.executable, *words], check=True)
        else:
            made += words[0] in ("ingest", "expand")
            run(words, made)


if __name__ == "__main__":
    main()
