"""Damaged files, thousands of them among valid ones, through ``medkit ingest``: what dies, hangs, leaks or is lost.

Every valid file has to give the same bytes as without its damaged neighbours, every file has to be accounted for once,
and nothing may be written outside OUTPUT. Ends with 1 where any of that failed; the files to blame are kept.

Usage: python benchmarks/mutated_files.py [--count 2000] [--seed 0] [--out report.json] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from io import StringIO
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from plugins.dicom_ingest.tests.bad_files import VOXELS
from plugins.dicom_ingest.tests.mutations import VOXEL_FILE, mutated, seeds

BATCH, NEIGHBOURS = 2000, 100
BAD = ("crashed", "unexpected", "time_limit", "memory_limit", "not_one_line", "lost_neighbours", "unaccounted")
BAD += ("outside", "leftover")
PRINTED = "printed"
COMPLAINT = re.compile(r"Warning|Error|Traceback|ignored in")
"""What Python prints; libtiff prints too, without a word on the content."""


def ingested(root: Path, options: list[str]) -> tuple[list[dict[str, str]], list[dict[str, str]], str]:
    """Run ``root/in`` to ``root/out``; return the rows of the manifest and of the failures, and stderr."""
    for name in ("home", "tmp", "cwd"):
        (root / name).mkdir(exist_ok=True)
    command = [sys.executable, "-m", "medkit.cli", "ingest", str(root / "in"), str(root / "out"), "--quiet"]
    command += ["--allow-burned-in", "--secret-file", str(root / "home" / "secret"), *options]
    places = {"HOME": str(root / "home"), "TMPDIR": str(root / "tmp"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=root / "cwd",
                          env={**os.environ, **places}, check=False)  # fmt: skip
    if not (root / "out" / "failures.csv").exists():
        sys.exit(f"medkit ingest ended with {done.returncode}: {done.stderr[-2000:]}")
    return table(root / "out" / "manifest.csv"), table(root / "out" / "failures.csv"), done.stderr


def table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file, none where there is no file."""
    return list(csv.DictReader(StringIO(path.read_text(encoding="utf-8")))) if path.exists() else []


def outputs(rows: list[dict[str, str]]) -> dict[str, list[str]]:
    """Return SHA-256 of each source → those of its images, in order."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["source_sha256"], []).append(row["output_sha256"])
    return found


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


class Run:
    """One seed's batches, and what was counted."""

    def __init__(self, seed: int, options: list[str], keep: Path | None) -> None:
        self.seed, self.options, self.keep = seed, options, keep
        self.counts: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.kept: list[str] = []
        self.printed: Counter[str] = Counter()
        self.seeds = seeds()
        self.valid: dict[str, list[str]] = {}

    def reference(self, root: Path) -> None:
        """Learn what the valid files give by themselves."""
        (root / "in").mkdir(parents=True)
        (root / "in" / VOXEL_FILE).write_bytes(VOXELS)
        for index, content in enumerate(self.seeds.values()):
            (root / "in" / f"{index}.bin").write_bytes(content)
        rows, failures, _ = ingested(root, self.options)
        failed = {row["sha256"] for row in failures}
        found = outputs(rows)
        self.valid = {
            name: found[key]
            for name, content in self.seeds.items()
            if (key := sha256(content)) in found and key not in failed
        }

    def batch(self, root: Path, first: int, count: int) -> None:
        """Run mutants ``first`` to ``first + count`` with valid files among them, and count what happened."""
        files = self._contents(first, count)
        (root / "in").mkdir(parents=True)
        (root / "in" / VOXEL_FILE).write_bytes(VOXELS)
        for name, content in files.items():
            (root / "in" / name).write_bytes(content)
        before = tree(root / "in")
        rows, failures, stderr = ingested(root, self.options)
        found, failed = outputs(rows), {row["source"]: row for row in failures}
        for name, content in files.items():
            self._judge(name, content, found.get(sha256(content)), failed.get(name))
        self._count_failures(failures, files)
        allowed = {"in", "out", "home", "tmp", "cwd"}
        strangers = [p.name for p in root.iterdir() if p.name not in allowed]
        strangers += sorted(tree(root / "in") ^ before) + sorted(tree(root / "tmp") | tree(root / "cwd"))
        strangers += sorted(tree(root / "home") - {"secret"})
        listed = {row["output"] for row in rows}
        self.counts["outside"] += len(strangers)
        self.counts["leftover"] += len({n for n in tree(root / "out") if n.endswith(".png")} ^ listed)
        self.counts["unaccounted"] += len(set(failed) - {*files, VOXEL_FILE})
        self.printed.update(line for line in stderr.splitlines() if COMPLAINT.search(line))

    def _contents(self, first: int, count: int) -> dict[str, bytes]:
        """Return name → content, no two alike; neighbours are called after their seed's number."""
        files: dict[str, bytes] = {}
        names, contents = list(self.seeds), list(self.seeds.values())
        known = set(map(sha256, contents))
        for index in range(first, first + count):
            random = Random(f"{self.seed}/{index}")
            content = mutated(random.choice(contents), random.choice(contents), random)
            if (key := sha256(content)) not in known:
                known.add(key)
                files[f"{index:08d}.bin"] = content
        chosen = Random(f"{self.seed}/{first}").sample(
            sorted(self.valid), min(len(self.valid), NEIGHBOURS, count // 10)
        )
        unlike = {sha256(self.seeds[name]): name for name in chosen}
        for number, name in enumerate(unlike.values()):
            files[f"{first + number * count // len(unlike):08d}_{names.index(name)}.bin"] = self.seeds[name]
        self.counts["mutated"] += len(files) - len(unlike)
        self.counts["neighbours"] += len(unlike)
        return files

    def _judge(self, name: str, content: bytes, images: list[str] | None, failure: dict[str, str] | None) -> None:
        if "_" in name:
            expected = self.valid[list(self.seeds)[int(name[9:-4])]]
            if images != expected or failure:
                self._blame("lost_neighbours", name, content, f"{images} {failure}")
            return
        self.counts["images"] += bool(images) and not failure
        partly = bool(failure) and "written)" in failure["reason"]
        if bool(images) != (failure is None or partly):
            self._blame("unaccounted", name, content)

    def _count_failures(self, failures: list[dict[str, str]], files: dict[str, bytes]) -> None:
        for row in failures:
            if row["source"] == VOXEL_FILE:
                continue
            code = "unexpected" if "unexpected" in row["reason"] else row["code"]
            self.codes[code] += 1
            if code in BAD or not row["reason"].isprintable():
                self._blame(code if code in BAD else "not_one_line", row["source"], files[row["source"]], row["reason"])

    def _blame(self, what: str, name: str, content: bytes, why: str = "") -> None:
        self.counts[what] += 1
        self.kept.append(f"{what} {name} {why}".strip())
        if self.keep:
            self.keep.mkdir(parents=True, exist_ok=True)
            (self.keep / f"{what}_{name}").write_bytes(content)


def main() -> None:
    """Run batches until there are enough, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="damaged files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", default="2")
    parser.add_argument("--time-limit", default="20", help="seconds a file")
    parser.add_argument("--memory-limit", default="4", help="GiB a file")
    parser.add_argument("--out", type=Path, help="write the figures here too")
    parser.add_argument("--keep", type=Path, help="folder for the files to blame")
    given = parser.parse_args()
    options = ["--workers", given.workers, "--time-limit", given.time_limit, "--memory-limit", given.memory_limit]
    run, started = Run(given.seed, options, given.keep), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run.reference(Path(folder, "valid"))
        for first in range(0, given.count, BATCH):
            root = Path(folder, "batch")
            run.batch(root, first, min(BATCH, given.count - first))
            shutil.rmtree(root)
            print(f"{run.counts['mutated']} files, {sum(run.counts[key] for key in BAD)} bad", file=sys.stderr)
    figures = {
        "mutated": run.counts["mutated"],
        "neighbours": run.counts["neighbours"],
        "seeds": len(run.seeds),
        "images": run.counts["images"],
        **{key: run.counts[key] for key in BAD},
        "codes": dict(run.codes.most_common()),
        "to_blame": run.kept[:50],
        PRINTED: dict(run.printed.most_common(20)),
        "seed": given.seed,
        "seconds": round(time.monotonic() - started, 1),
    }
    text = json.dumps(figures, indent=2)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    print(text)
    sys.exit(any(figures[key] for key in (*BAD, PRINTED)) or not run.counts["neighbours"])


if __name__ == "__main__":
    main()
