"""Images that look alike, so that none is trained on while its twin is tested.

Two perceptual hashes of 256 bits each are laid end to end: phash (signs of the low frequencies; Zauner 2010,
*Implementation and Benchmarking of Perceptual Image Hash Functions*) and dhash (signs of the horizontal gradient), as
in the library ImageHash. Two images look alike when at most a given number of the 512 bits differ, directly or after
mirroring one of them; groups are the connected components. Unrelated pairs differ in about half of the bits, fewer
where all images of a kind resemble each other: the threshold is the data set's to choose.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import imagehash
import numpy as np
from PIL import Image, ImageOps
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medkit.errors import ConfigError
from medkit.tables import write_csv

HASH_SIZE = 16
BITS = 2 * HASH_SIZE**2
_BLOCK = 4_000_000
"""Distances held in memory at once."""

Opener = Callable[[str], Image.Image]


class Pair(NamedTuple):
    """Two images that look alike.

    Attributes:
        first: index of the earlier path.
        second: index of the later path.
        distance: bits that differ, of `BITS`.
        mirrored: the second one, flipped left to right, is nearer than as it is.
        same_bytes: the files are identical.
    """

    first: int
    second: int
    distance: int
    mirrored: bool
    same_bytes: bool


@dataclass(frozen=True)
class Groups:
    """Who looks like whom.

    Attributes:
        paths: the N paths, as given.
        group: (N,) int64: group of each path, numbered by first appearance; an unreadable file is a group of its own.
        pairs: all pairs within the threshold, in the order of the paths.
        threshold: bits, of `BITS`.
        unreadable: path → why.
    """

    paths: list[str]
    group: np.ndarray
    pairs: list[Pair]
    threshold: int
    unreadable: dict[str, str]

    @property
    def names(self) -> list[str]:
        """``group-0000`` and so on, a path each: what stands for a patient where a set has no patient ids."""
        return [f"group-{number:04d}" for number in self.group]

    def write(self, folder: str | Path, below: str | Path | None = None) -> None:
        """Write ``look_alikes.csv`` (a pair a row) and ``look_alike_groups.csv`` (a path a row) into ``folder``.

        Args:
            folder: made where it is not there.
            below: paths are written relative to it.
        """
        shown = [os.path.relpath(path, below) if below else path for path in self.paths]
        columns = ["path_a", "path_b", "distance", "mirrored", "same_bytes", "group", "threshold", "bits"]
        rows = [
            (shown[p.first], shown[p.second], p.distance, int(p.mirrored), int(p.same_bytes), self.names[p.first])
            for p in self.pairs
        ]
        facts = (self.threshold, BITS)
        write_csv(Path(folder) / "look_alikes.csv", columns, (dict(zip(columns, (*row, *facts))) for row in rows))
        sizes = np.bincount(self.group)
        grouped = (
            {"path": name, "group": group, "size": sizes[number], "problem": self.unreadable.get(path, "")}
            for name, group, number, path in zip(shown, self.names, self.group, self.paths)
        )
        write_csv(Path(folder) / "look_alike_groups.csv", ["path", "group", "size", "problem"], grouped)


def look_alikes(
    paths: Sequence[str | Path], threshold: int, *, mirrored: bool = True, opener: Opener | None = None
) -> Groups:
    """Return the groups of images that look alike.

    Every pair is compared: 0.1 s for 780 images, a few seconds for 10,000, in bounded memory, after reading and hashing
    (about 10 ms an image; remembered within a process). The result depends on nothing but the files and their order.

    Args:
        paths: image files of any kind that Pillow reads; others are listed as unreadable.
        threshold: bits of 512 that may differ; pairs that differ in more are not look-alikes.
        mirrored: also compare with the mirror image.
        opener: takes the place of ``PIL.Image.open``, for files that Pillow does not read.

    Raises:
        ConfigError: the threshold is no distance.
    """
    if not 0 <= threshold < BITS:
        raise ConfigError(f"look-alike threshold {threshold}: give 0 to {BITS - 1} bits")
    names = [str(path) for path in paths]
    hashes = np.zeros((len(names), 2, BITS // 64), np.uint64)
    unreadable: dict[str, str] = {}
    for n, name in enumerate(names):
        try:
            hashes[n] = _remembered(name, _state(name)) if opener is None else image_hash(opener(name))
        except Exception as error:  # a decoder may raise anything; the file is listed
            unreadable[name] = " ".join(str(error).split()) or type(error).__name__
    read = np.array([name not in unreadable for name in names], bool)
    rows, columns, distances, flipped = _near(hashes, read, threshold, mirrored)
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(len(names),) * 2)
    _, component = connected_components(graph, directed=False)
    _, first, member = np.unique(component, return_index=True, return_inverse=True)
    pairs = [
        Pair(int(a), int(b), int(d), bool(m), d == 0 and not m and _same_bytes(names[a], names[b]))
        for a, b, d, m in zip(rows, columns, distances, flipped)
    ]
    return Groups(names, np.argsort(np.argsort(first))[member], pairs, threshold, unreadable)


def image_hash(image: Image.Image) -> np.ndarray:
    """Return (2,8) uint64: 512 bits of the image and of its mirror image."""
    grey = _grey(image)
    size = HASH_SIZE
    fine, coarse = (
        grey.resize((4 * size,) * 2, Image.Resampling.LANCZOS),
        grey.resize((size + 1, size), Image.Resampling.LANCZOS),
    )
    bits = [
        np.concatenate(
            [imagehash.phash(view(fine), size).hash.ravel(), imagehash.dhash(view(coarse), size).hash.ravel()]
        )
        for view in (Image.Image.copy, ImageOps.mirror)
    ]
    return np.packbits(bits, axis=1).view(np.uint64)


def _grey(image: Image.Image) -> Image.Image:
    """Return 8-bit grey; more bits are stretched from the least to the greatest value, where Pillow would cut."""
    if image.mode.startswith(("I", "F")):
        values = np.nan_to_num(np.asarray(image, np.float64))
        low, high = values.min(), values.max()
        return Image.fromarray(((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8))
    return (image.convert("RGBA") if image.mode == "P" else image).convert("L")


def _state(path: str) -> tuple[int, int]:
    status = Path(path).stat()
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=50_000)
def _remembered(path: str, _: tuple[int, int]) -> np.ndarray:
    with Image.open(path) as image:
        return image_hash(image)


def _near(
    hashes: np.ndarray, read: np.ndarray, threshold: int, mirrored: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, columns, distances and whether mirrored, of all pairs within the threshold, in order."""
    count = len(hashes)
    found = []
    step = max(1, _BLOCK // max(count, 1))
    for start in range(0, count, step):
        block = hashes[start : start + step]
        plain = _distances(block[:, 0], hashes[start:, 0])
        flip = plain
        if mirrored:  # resampling makes the two a few bits apart: the order of the paths must not decide
            flip = np.minimum(_distances(block[:, 0], hashes[start:, 1]), _distances(block[:, 1], hashes[start:, 0]))
        nearest = np.minimum(plain, flip)
        later = np.arange(count - start) > np.arange(len(block))[:, None]
        near = (nearest <= threshold) & later & read[start:] & read[start : start + step, None]
        i, j = np.nonzero(near)
        found.append((i + start, j + start, nearest[i, j], flip[i, j] < plain[i, j]))
    empty = np.empty(0, np.int64)
    return tuple(map(np.concatenate, zip(*found))) if found else (empty, empty, empty, empty)  # type: ignore[return-value]


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Hamming distances (n,m) uint16 of packed bits (n,w) and (m,w)."""
    total = np.zeros((len(first), len(second)), np.uint16)
    for word in range(first.shape[1]):
        total += np.bitwise_count(first[:, word, None] ^ second[None, :, word])
    return total


def _same_bytes(first: str, second: str) -> bool:
    one, other = Path(first), Path(second)
    if not (one.is_file() and other.is_file()) or one.stat().st_size != other.stat().st_size:
        return False
    digests = []
    for path in (one, other):
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").digest())
    return digests[0] == digests[1]
