"""Memory of `medkit ingest` over many files: the highest resident set of the parent and of its workers as files go by.

Small DICOM and PNG files of varied size are made by linking a few under many names with their own content; the peak of
each process (VmHWM) is read while they are done. Flat means that the highest in the last quarter of the files is at
most 1.1 times the highest in the first quarter, after a twentieth to warm up. Prints JSON; the exit code says whether
it is flat.

Usage: python benchmarks/ingest_memory.py [--count 5000] [--size 512] [--workers 2] [--work DIR]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ingest_processes import adopt_orphans, await_orphans, ingest_command
from synthetic_dx import radiograph, write_dx

IMAGES = 25
"""Different images; every file has a comment of its own behind them, so that no two are the same."""
GOAL = 1.1
POINTS = 20


def write_files(folder: Path, count: int, size: int) -> None:
    """Write ``count`` DICOM files in three transfer syntaxes, each of different bytes."""
    folder.mkdir()
    model = folder / "model"
    made = []
    for seed in range(IMAGES):
        write_dx(model, radiograph(size + 8 * (seed % 5), seed), seed, 12, ("raw", "jpeg_ls", "htj2k")[seed % 3])
        made.append(model.read_bytes())
    model.unlink()
    for number in range(count):
        (folder / f"{number}.dcm").write_bytes(f"{number:<128}".encode() + made[number % IMAGES][128:])


def resident(group: int) -> dict[int, tuple[int, int]]:
    """Return process → (KiB resident now, KiB at most so far) for a process group."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[2]) != group:
                    continue
                lines = dict(line.split(":", 1) for line in (entry / "status").read_text().splitlines())
                found[int(entry.name)] = tuple(int(lines[key].split()[0]) for key in ("VmRSS", "VmHWM"))
            except (OSError, KeyError, ValueError, IndexError):
                continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", type=Path, help="where the files are made; default: a temporary folder")
    options = parser.parse_args()
    adopt_orphans()
    samples: list[tuple[int, int, int]] = []  # files done, parent now, the largest worker now
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        source, output = Path(folder, "source"), Path(folder, "output")
        write_files(source, options.count, options.size)
        command = ingest_command(source, output, options.workers, Path(folder, "secret"))
        process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
        peaks: dict[int, int] = {}
        while process.poll() is None:
            now = resident(process.pid)
            done = sum(1 for _ in output.glob("images/*/*.png"))
            peaks |= {pid: most for pid, (_, most) in now.items()}
            others = [kib for pid, (kib, _) in now.items() if pid != process.pid]
            if process.pid in now and others and done:
                samples.append((done, now[process.pid][0], max(others)))
            time.sleep(0.1)
        await_orphans()
        if process.returncode:
            raise SystemExit(f"medkit ingest ended with {process.returncode}")
    quarter, warm = options.count // 4, options.count // 20
    result: dict[str, object] = {"count": options.count, "size": options.size, "goal": GOAL}
    flat = True
    for name, column in (("parent", 1), ("worker", 2)):
        first = max(s[column] for s in samples if warm <= s[0] <= warm + quarter)
        last = max(s[column] for s in samples if s[0] >= options.count - quarter)
        flat &= last <= GOAL * first
        result[name] = {"first_quarter_mib": round(first / 1024, 1), "last_quarter_mib": round(last / 1024, 1),
                        "ratio": round(last / first, 3)}  # fmt: skip
    step = max(1, len(samples) // POINTS)
    result["files, parent MiB, worker MiB"] = [[n, a // 1024, b // 1024] for n, a, b in samples[::step]]
    result["peaks_mib"] = sorted((kib // 1024 for kib in peaks.values()), reverse=True)
    print(json.dumps(result | {"flat": flat}, indent=2))
    sys.exit(not flat)


if __name__ == "__main__":
    main()
