"""`medkit ingest` beside dcmtk, dicom2jpg, and decode + LUT + encode with nothing else: milliseconds a file, one core.

The same synthetic 2048 × 2048 12-bit DX images in five transfer syntaxes go through each, in turns, in one run:

- medkit ingest: the whole command with one worker (hashing, manifest and PNG files included; CPU time of all of its
  processes). A run of all files less a run of one file, by the number of files between them; the start-up that this
  takes out is stated beside it, and so is the time with it.
- dcmtk: dcm2pnm, dcmj2pnm or dcml2pnm -O +Wi 1 +on, one process a file, nothing subtracted; what a process costs for an
  image of 16 × 16 is stated.
- dicom2jpg: dicom2png in this process, import not counted.
- floor: this process decodes a frame that is in memory, cv2.LUT, cv2.resize where asked for, and our PNG encoder.

All on one core, one thread. Then two workers against one on two cores, all files. A table goes to stderr, JSON to
stdout.

Usage: python benchmarks/ingest_throughput.py [--count 200] [--rounds 3] [--size 2048] [--work DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import cv2
import imagecodecs
import numpy as np
from ingest_processes import Cost, adopt_orphans, ingest_command, run
from medkit_dicom_ingest.ingest.png import encode_png
from pydicom import dcmread
from pydicom.encaps import generate_frames
from synthetic_dx import SYNTAXES, radiograph, write_dx

REDUCED = 512
DCMTK = {"raw": "dcm2pnm", "jpeg_lossless": "dcmj2pnm", "jpeg_ls": "dcml2pnm"}
DECODERS: dict[str, Callable[[bytes], np.ndarray]] = {
    "jpeg_lossless": imagecodecs.jpegsof3_decode,
    "jpeg_ls": imagecodecs.jpegls_decode,
    "jpeg_2000": imagecodecs.jpeg2k_decode,
    "htj2k": imagecodecs.htj2k_decode,
}
GOALS = {
    "dcmtk / medkit": {"raw": 18.0, "jpeg_ls": 6.0},
    "dicom2jpg / medkit": {"raw": 3.5},
    "medkit / floor": dict.fromkeys(SYNTAXES, 1.5),
    "two workers": 1.7,
}


def by_ingest(files: list[Path], work: Path, side: int | None, workers: int = 1) -> tuple[Cost, Cost]:
    """Return what all files cost, and what one of them alone does."""
    found = []
    for some in (files, files[:1]):
        source, output = work / "source", work / "output"
        for folder in (source, output):
            shutil.rmtree(folder, ignore_errors=True)
        source.mkdir()
        for number, path in enumerate(some):
            (source / f"{number}.dcm").hardlink_to(path)
        command = ingest_command(source, output, workers, work / "secret")
        found.append(run(command + (["--longest-side", str(side)] if side else [])))
        images = len(list((output / "images").glob("*/*.png")))
        if images != len(some):
            raise SystemExit(f"medkit ingest gave {images} images of {len(some)} files")
    return found[0], found[1]


def by_dcmtk(path: Path, kind: str, work: Path, side: int | None) -> None:
    smaller = ["+Sxv", str(side)] if side else []
    run([DCMTK[kind], "-O", "+Wi", "1", *smaller, "+on", str(path), str(work / "dcmtk.png")])


def by_dicom2jpg(path: Path, work: Path) -> None:
    import dicom2jpg

    with contextlib.redirect_stdout(io.StringIO()):
        dicom2jpg.dicom2png(str(path), target_root=str(work / "dicom2jpg"), multiprocessing=False)


def floor(stream: bytes, kind: str, table: np.ndarray, size: int, side: int | None) -> bytes:
    """Decode, window, reduce and encode a frame that is in memory."""
    native = kind == "raw"
    words = np.frombuffer(stream, np.uint16).reshape(size, size) if native else DECODERS[kind](stream)
    pixels = cv2.LUT(words, table)
    return encode_png(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA) if side else pixels)


def timed(call: Callable[..., object], *given: Any) -> Cost:
    before = Cost.now()
    call(*given)
    return Cost.now() - before


def stream_of(path: Path) -> bytes:
    dataset = dcmread(path)
    data = dataset.PixelData
    return (
        next(generate_frames(data, number_of_frames=1)) if dataset.file_meta.TransferSyntaxUID.is_encapsulated else data
    )


def window_table() -> np.ndarray:
    """Return the 65,536 entries that the files' window makes of stored values."""
    values = np.arange(65536, dtype=np.float64)
    return np.rint(np.clip((values - 2047.5) / (round(0.8 * 4096) - 1) + 0.5, 0, 1) * 255).astype(np.uint8)


def one_kind(kind: str, files: list[Path], side: int | None, options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Return milliseconds a file by each way, (CPU, wall)."""
    table, costs = (
        window_table(),
        {name: [] for name in ("medkit", "start-up", "with start-up", "floor", "dcmtk", "dicom2jpg")},
    )
    for turn in range(options.rounds):
        whole, one = by_ingest(files, work, side)
        costs["medkit"].append((whole - one) / (len(files) - 1))
        costs["start-up"].append(one)
        costs["with start-up"].append(whole / len(files))
        for path in files:
            stream = stream_of(path)
            costs["floor"].append(timed(floor, stream, kind, table, options.size, side))
        for path in files[turn :: options.rounds]:
            if kind in DCMTK and shutil.which(DCMTK[kind]):
                costs["dcmtk"].append(timed(by_dcmtk, path, kind, work, side))
            if side is None and options.dicom2jpg:
                costs["dicom2jpg"].append(timed(by_dicom2jpg, path, work))
    return {name: Cost.median(found).milliseconds() for name, found in costs.items() if found}


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """Return the ratios of CPU time that the goals are about."""
    cpu = {name: value["cpu_ms"] for name, value in found.items()}
    pairs = (("dcmtk", "medkit"), ("dicom2jpg", "medkit"), ("medkit", "floor"))
    return {f"{a} / {b}": round(cpu[a] / cpu[b], 2) for a, b in pairs if a in cpu}


def scaling(files: list[Path], work: Path, rounds: int) -> dict[str, Any]:
    """Return how much sooner two workers are done than one, in wall time with start-up taken out."""
    found: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers in found:
            whole, one = by_ingest(files, work, None, workers)
            found[workers].append(whole.wall - one.wall)
    one, two = (statistics.median(found[workers]) for workers in (1, 2))
    return {"one_s": round(one, 3), "two_s": round(two, 3), "ratio": round(one / two, 2), "goal": GOALS["two workers"]}


def tell(kind: str, side: int | None, found: dict[str, Any], reached: dict[str, float]) -> None:
    times = "  ".join(f"{n} {v['cpu_ms']:.1f} ({v['wall_ms']:.1f})" for n, v in found.items())
    goals = {name: GOALS[name].get(kind) if side is None else None for name in reached}
    against = "  ".join(f"{n} {v}" + (f" [goal {goals[n]}]" if goals[n] else "") for n, v in reached.items())
    print(f"{kind:<14} {side or 'full':>5}  ms a file, CPU (wall): {times}\n{'':<21} {against}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40, help="files, evenly in five transfer syntaxes")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--kinds", nargs="+", choices=SYNTAXES, default=list(SYNTAXES))
    parser.add_argument("--work", type=Path, help="an empty folder for the files; default: a temporary one")
    options = parser.parse_args()
    adopt_orphans()
    cv2.setNumThreads(1)
    try:
        import dicom2jpg  # noqa: F401
    except ImportError:
        options.dicom2jpg = False
    else:
        options.dicom2jpg = True
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        each = max(2, options.count // len(SYNTAXES))
        files: dict[str, list[Path]] = {kind: [] for kind in options.kinds}
        for seed in range(each):
            image = radiograph(options.size, seed)
            for kind, paths in files.items():
                paths.append(work / f"{kind}_{seed}.dcm")
                write_dx(paths[-1], image, seed, 12, kind)
        write_dx(work / "tiny.dcm", radiograph(16, 0), 0, 12)
        results: dict[str, Any] = {"count": each * len(files), "size": options.size, "rounds": options.rounds}
        os.sched_setaffinity(0, cores[:1])
        if shutil.which("dcm2pnm"):
            starts = [timed(by_dcmtk, work / "tiny.dcm", "raw", work, None) for _ in range(10)]
            results["a dcmtk process for 16 x 16"] = Cost.median(starts).milliseconds()
        for kind, paths in files.items():
            for side in (None, REDUCED):
                found = one_kind(kind, paths, side, options, work)
                reached = ratios(found)
                tell(kind, side, found, reached)
                results[f"{kind}, {side or 'full size'}"] = {"ms_a_file": found, "ratios_of_cpu_time": reached}
        os.sched_setaffinity(0, cores)
        if len(cores) > 1:
            mixed = [path for group in zip(*files.values(), strict=True) for path in group]
            results["two workers"] = scaling(mixed, work, options.rounds)
            print(f"two workers: {results['two workers']}", file=sys.stderr)
    print(json.dumps({"goals": GOALS, "results": results}, indent=2))


if __name__ == "__main__":
    main()
