"""Compare medkit, dcmtk, ITK and MONAI's PydicomReader with a renderer written from the standard.

Writes ``docs/dicom_rendering.md`` and prints, as JSON, in how many of the synthesised files each is within one level.
Needs dcmtk's command line tools. Real files below ``MEDKIT_DATA`` are added to the page where there are any.

Run: ``python benchmarks/rendering_table.py``
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pydicom import Dataset

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from plugins.dicom_ingest.tests import dcmtk, reference, shipped  # noqa: E402
from plugins.dicom_ingest.tests.cases import by_rule  # noqa: E402
from plugins.dicom_ingest.tests.levels import DELIBERATE, FRAMES, TOLERATED, apart, shown_by_medkit  # noqa: E402
from plugins.dicom_ingest.tests.synthetic import to_bytes  # noqa: E402

PAGE = ROOT / "docs" / "dicom_rendering.md"
DATA = Path(os.environ.get("MEDKIT_DATA", ROOT.parent / "shared" / "data")) / "dicom"
TOOLS = ("medkit", "dcmtk", "ITK", "MONAI PydicomReader")
INTRO = """# DICOM rendering against the standard

Made by `python benchmarks/rendering_table.py`; not to be edited.

Every file is rendered by five: a slow renderer written from PS3.3 (C.7.6.3, C.7.9, C.11.1, C.11.2, C.11.6), which is
the reference and shares no code with medkit, and by

- **medkit**: `rendered_frames(dataset, dtype=uint8, in_colour=True)`;
- **dcmtk** {dcmtk}: `dcm2pnm`, `dcmj2pnm` or `dcml2pnm` with `-O` and `+Wl 1`, `+Wi 1` or `-W`, by what the file holds;
- **ITK** {itk}: `itk.imread`, which applies the rescale; then lowest to highest value of the file linearly to 0…255
  (8-bit colour as it is);
- **MONAI** {monai} **PydicomReader** (with pydicom {pydicom}), unturned, then `ScaleIntensity`, as MONAI's examples do.

ITK and MONAI read arrays: windows, VOI LUTs, polarity and palettes are left to the caller, and hardly any caller does
what the standard asks. The table shows what comes of that.

Images are compared as 8-bit levels, channel by channel, in the first {frames} frames. A cell holds the number of files
that are within one level of the reference in every pixel, then the largest difference in levels, then how many files
the tool refused or gave in another size.
"""


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder:
        judge = Judge(Path(folder))
        rules = {rule: [judge.case(case) for case in cases] for rule, cases in by_rule()}
        every = [row for rows in rules.values() for row in rows]
        files = [path for path in shipped.files() if not shipped.no_image(path)]
        ours = {path: judge.file(path) for path in files}
        real = {path: judge.file(path) for path in sorted(DATA.glob("*.dcm"))}
    page = [
        INTRO.format(dcmtk=dcmtk_version(), itk=version("itk-io"), monai=version("monai"), pydicom=version("pydicom"),
                     frames=FRAMES),
        "## Synthesised files, by rule\n",
        *table(("rule", "files", *TOOLS), [(rule, len(rows), *cells(rows)) for rule, rows in rules.items()]
               + [("all", len(every), *cells(every))]),
        "\n## Files that pydicom ships\n",
        "Largest difference in levels; – where the tool gives no image or another size. \\* dcmtk is the reference, as "
        "nothing but medkit's own decoder and dcmtk reads the file.\n",
        *table(("file", *TOOLS), by_folder(ours)),
        "",
        f"{sum(bool(shipped.no_image(path)) for path in shipped.files())} more files hold no image; the tests list the "
        "reason that each has to give.",
        *(["\n## Real files\n", *table(("file", *TOOLS), [(path.name, *line(row)) for path, row in real.items()])]
          if real else []),
        "\n## Exceptions, explained\n",
        "The tests fail where one is missing, and where one is no longer needed.\n",
        *table(("where", "levels", "files", "why"), exceptions(files)),
    ]  # fmt: skip
    PAGE.write_text("\n".join(page) + "\n", encoding="utf-8")
    print(json.dumps({"files": len(every)} | {tool: within(every, k) for k, tool in enumerate(TOOLS)}, indent=2))


Row = tuple[float | None, ...]
"""By tool: levels apart, None where there is no image."""


class Judge:
    """Renders a file with each tool; those that may take the process with them run in a second one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.pool = folder, ProcessPoolExecutor(1)

    def case(self, case) -> Row:
        """Return the differences of a synthesised file."""
        path = self.folder / "case.dcm"
        path.write_bytes(to_bytes(case.dataset))
        expected = [reference.render(case.dataset, stored, k) for k, stored in enumerate(case.stored[:FRAMES])]
        return self._row(path, case.dataset, [np.rint(255 * frame) for frame in expected])

    def file(self, path: Path) -> Row:
        """Return the differences of a file on disk."""
        dataset = shipped.read(path)
        stored = shipped.stored(path, dataset)
        if stored is None:
            return (*self._row(path, dataset, dcmtk.rendered(path, dataset, FRAMES, self.folder)), None)
        expected = [reference.render(dataset, frame, k) for k, frame in enumerate(stored[:FRAMES])]
        return self._row(path, dataset, [np.rint(255 * frame) for frame in expected])

    def _row(self, path: Path, dataset: Dataset, expected: list[np.ndarray]) -> Row:
        shown = (
            shown_by_medkit(path.read_bytes()),
            dcmtk.rendered(path, dataset, len(expected), self.folder),
            self._elsewhere(by_itk, path),
            self._elsewhere(by_monai, path),
        )
        return tuple(worst(frames, expected) for frames in shown)

    def _elsewhere(self, function: Callable[[Path], list[np.ndarray]], path: Path) -> list[np.ndarray]:
        try:
            return self.pool.submit(function, path).result()
        except BrokenProcessPool:
            self.pool = ProcessPoolExecutor(1)
        except Exception:
            pass
        return []


def worst(shown: list[np.ndarray], expected: list[np.ndarray]) -> float | None:
    """Return the largest difference of any frame; None where there are fewer frames, or of another size."""
    if len(shown) < len(expected):
        return None
    most = max(np.rint(apart(a, b)) for a, b in zip(shown, expected, strict=False))
    return float(most) if np.isfinite(most) else None


def by_itk(path: Path) -> list[np.ndarray]:
    """Return ITK's frames as levels."""
    import itk

    array = itk.array_from_image(itk.imread(str(path)))
    array = array if array.ndim >= 3 else array[None]
    return list(array if array.ndim == 4 and array.dtype == np.uint8 else stretched(array))


def by_monai(path: Path) -> list[np.ndarray]:
    """Return the frames as levels that PydicomReader and ScaleIntensity give."""
    from monai.data import PydicomReader
    from monai.transforms import ScaleIntensity

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader = PydicomReader(swap_ij=False)
        array, _ = reader.get_data(reader.read(str(path)))
        scaled = np.rint(255 * np.asarray(ScaleIntensity()(array.astype(np.float64))))
    return list(scaled if scaled.ndim == 4 or (scaled.ndim == 3 and scaled.shape[-1] != 3) else scaled[None])


def stretched(array: np.ndarray) -> np.ndarray:
    """Return lowest to highest value as levels 0…255."""
    low, high = float(array.min()), float(array.max())
    return np.rint(255 * (array - low) / (high - low)) if high > low else np.zeros(array.shape)


def within(rows: list[Row], tool: int) -> int:
    """Return how many files the tool shows within one level."""
    return sum(row[tool] is not None and row[tool] <= 1 for row in rows)


def cells(rows: list[Row]) -> list[str]:
    """Return one cell a tool: files within one level, largest difference, files refused."""
    found = []
    for k in range(len(TOOLS)):
        known = [row[k] for row in rows if row[k] is not None]
        refused = f", {len(rows) - len(known)} refused" if len(known) < len(rows) else ""
        found.append(f"{within(rows, k)}, max {max(known):.0f}{refused}" if known else f"0{refused}")
    return found


def line(row: Row) -> list[str]:
    """Return one cell a tool: the largest difference; marked where dcmtk itself is the reference."""
    mark = "\\*" if len(row) > len(TOOLS) else ""
    return [
        ("–" if levels is None else f"{levels:.0f}") + mark * (k == 1) for k, levels in enumerate(row[: len(TOOLS)])
    ]


def by_folder(files: dict[Path, Row]) -> Iterable[tuple[str, ...]]:
    """Yield a row a file; the small ones of a series in one row."""
    for part in ("charset_files", "dicomdirtests"):
        rows = [row for path, row in files.items() if part in path.parts]
        most = [None if None in column else max(column) for column in zip(*rows, strict=True)]
        yield (f"{part}: {', '.join(sorted({p.parent.name for p in files if part in p.parts}))} ({len(rows)} files)",
               *line(tuple(most)))  # fmt: skip
    for path, row in files.items():
        if path.parent.name == "test_files":
            yield (path.name, *line(row))


def exceptions(files: list[Path]) -> Iterable[tuple[str, ...]]:
    """Yield who differs, how far, in how many files, and why."""
    names = [case.name for _, cases in by_rule() for case in cases] + [path.name for path in files]
    for table_of, levels in ((dcmtk.EXPLAINED, "> 1"), (dcmtk.REFUSED, "no image")):
        for why, patterns in table_of.items():
            yield "dcmtk", levels, str(sum(bool(dcmtk.reason({why: patterns}, name)) for name in names)), why
    for why in dict.fromkeys(DELIBERATE.values()):
        yield "medkit", "> 1", str(sum(reason == why for reason in DELIBERATE.values())), why
    for pattern, (levels, why) in TOLERATED.items():
        count = sum(bool(dcmtk.reason({why: (pattern,)}, name)) for name in names)
        yield "medkit", f"≤ {levels}", str(count), why


def table(head: Sequence[str], rows: Iterable[Iterable[object]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(str, cells))} |" for cells in lines]


def dcmtk_version() -> str:
    done = subprocess.run([dcmtk.PLAIN, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split(" v")[1].split()[0]


if __name__ == "__main__":
    main()
