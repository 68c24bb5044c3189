"""kill -9 of `medkit ingest` at random moments: does a resumed run end with the bytes of an uninterrupted one?

A folder of small DICOM files (single and multi-frame, some to be set aside, some broken) and bitmaps is read once
without interruption. Then another OUTPUT is made by runs that are killed at random moments, in turns the whole process
group and the parent alone, whose workers must end by themselves; a last run ends it. Every file of the two but for the
private `.ingest` must have the same name and bytes. Prints JSON; the exit code says whether they are the same.

Usage: python benchmarks/ingest_kill.py [--count 2000] [--kills 10] [--workers 2] [--seed 0] [--work DIR]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ingest_processes import adopt_orphans, await_orphans, ingest_command
from pydicom import dcmread
from synthetic_dx import radiograph, write_dx

SECONDS_TO_END = 10
KINDS = ("raw", "jpeg_ls", "htj2k")


def write_files(folder: Path, count: int) -> None:
    """Write ``count`` files, about 64 × 64: DICOM, of these a tenth multi-frame; PNG; broken and twice the same."""
    folder.mkdir()
    before: bytes = b""
    for seed in range(count):
        place = folder / f"site {seed % 7}" / f"{seed}.dcm"
        place.parent.mkdir(exist_ok=True)
        shape, kind = seed % 20, KINDS[seed % len(KINDS)]
        image = radiograph(48 + seed % 33, seed)
        if shape < 3:
            cv2.imwrite(str(place.with_suffix(".png")), (image >> 4).astype(np.uint8))
        elif shape == 3:
            write_dx(place, np.stack([image, image[::-1], image[:, ::-1]]), seed, 12, "raw")
        elif shape == 4:  # truncated
            write_dx(place, image, seed, 12, "raw")
            place.write_bytes(place.read_bytes()[:-500])
        elif shape == 5:  # no image
            place.write_bytes(f"not an image {seed}".encode())
        elif shape == 6 and before:  # the same content under two names
            place.write_bytes(before)
        elif shape == 7:  # the second of three frames is broken
            write_dx(place, np.stack([image] * 3), seed, 12, "jpeg_ls")
            data = place.read_bytes()
            second = data.find(b"\xff\xd8", data.find(b"\xff\xd8") + 2)
            place.write_bytes(data[: second + 40] + bytes(60) + data[second + 100 :])
        else:
            write_dx(place, image, seed, 12, kind)
            if shape == 8:  # to be set aside
                dataset = dcmread(place)
                dataset.BurnedInAnnotation = "YES"
                dataset.save_as(place)
            before = place.read_bytes()


def tree(output: Path) -> dict[str, str]:
    """Return the hash of every file of OUTPUT but for its private state."""
    files = (path for path in sorted(output.rglob("*")) if path.is_file())
    names = {path.relative_to(output).as_posix(): path for path in files}
    return {n: hashlib.sha256(p.read_bytes()).hexdigest() for n, p in names.items() if not n.startswith(".ingest/")}


def start(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def finish(command: list[str]) -> float:
    """Run to the end and return the seconds."""
    began = time.monotonic()
    process = start(command)
    _, said = process.communicate()
    await_orphans()
    if process.returncode not in (0, 3):
        raise SystemExit(f"medkit ingest ended with {process.returncode}: {said.decode(errors='replace')}")
    return time.monotonic() - began


def kill(command: list[str], output: Path, images: int, moment: float, whole_group: bool) -> dict[str, Any]:
    """Kill a run ``moment`` seconds after OUTPUT has so many images; return what was there, and who outlived it."""
    process = start(command)
    while process.poll() is None and (there := len(list(output.glob("*/*/*.png")))) < images:
        time.sleep(0.02)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
    code = process.wait()
    process.stderr.close()
    at = time.monotonic()
    while (left := alive(process.pid)) and time.monotonic() - at < SECONDS_TO_END:
        time.sleep(0.05)
    took = time.monotonic() - at
    if left:
        os.killpg(process.pid, signal.SIGKILL)
    await_orphans()
    what = "group" if whole_group else "parent"
    return {
        "killed": what if code == -signal.SIGKILL else f"nothing: it had ended with {code}",
        "images": there,
        "last_process_gone_after_s": round(took, 2),
        "left_behind": left,
    }


def alive(group: int) -> list[int]:
    """Return the processes of a group that have not ended; those that have are waited for."""
    found = []
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                break
        except ChildProcessError:
            break
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, _, its_group = (entry / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[:3]
            except (OSError, ValueError):
                continue
            if int(its_group) == group and state != "Z":
                found.append(int(entry.name))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="where the files are made; default: a temporary folder")
    options = parser.parse_args()
    adopt_orphans()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        source, straight, resumed = work / "source", work / "straight", work / "resumed"
        write_files(source, options.count)
        seconds = finish(ingest_command(source, straight, options.workers, work / "secret"))
        one = tree(straight)
        images = sum(name.endswith(".png") for name in one)
        command = ingest_command(source, resumed, options.workers, work / "secret")
        kills = []
        for turn in range(options.kills):
            goal = int(images * (turn + moments.random()) / options.kills)
            kills.append(kill(command, resumed, goal, moments.uniform(0, 0.3), whole_group=turn % 2 == 0))
            print(kills[-1], file=sys.stderr)
        finish(command)
        other = tree(resumed)
        differing = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
        summary = json.loads((straight / "ingest.json").read_text(encoding="utf-8"))
        same = not differing and not any(one_kill["left_behind"] for one_kill in kills)
        report = {
            "count": options.count,
            "seed": options.seed,
            "uninterrupted_s": round(seconds, 1),
            "files": summary["files"],
            "images": summary["images"],
            "kills": kills,
            "identical": not differing,
            "differing": differing[:20],
        }
        print(json.dumps(report, indent=2))
    sys.exit(not same)


if __name__ == "__main__":
    main()
