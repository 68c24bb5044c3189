"""One file to bitmaps and manifest rows: what a worker process does."""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from medkit.files import sha256, whole
from medkit_dicom_ingest.carried import KEYWORD, carried
from medkit_dicom_ingest.dicom.contrast import Voi
from medkit_dicom_ingest.dicom.parse import looks_like_dicom, parse
from medkit_dicom_ingest.failure import SKIPPED, ImageError
from medkit_dicom_ingest.ingest import manifest
from medkit_dicom_ingest.ingest.burned_in import burned_in_risk, carried_risk
from medkit_dicom_ingest.ingest.identity import links, patient_key, text
from medkit_dicom_ingest.ingest.names import identifying_parts
from medkit_dicom_ingest.ingest.options import Options
from medkit_dicom_ingest.ingest.png import encode_png
from medkit_dicom_ingest.ingest.shareable import shareable
from medkit_dicom_ingest.pictures import Choices, Picture, pictures, read_bytes
from medkit_dicom_ingest.volumes.slices import looks_like_volume, parts

IMAGES, QUARANTINE = "images", "quarantine"
KNOWN = ("output", "output_sha256", "burned_in_risk")
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
DISK_FULL = "the disk is full"


@dataclass(frozen=True, slots=True)
class Task:
    """One file to read.

    Attributes:
        name: its path below SOURCE, with ``/``.
        path: where it is.
        content: `content_hash` of what it held when it was done before, else ``""``.
        outputs: `KNOWN` columns of the manifest, of what was made then.
    """

    name: str
    path: Path
    content: str = ""
    outputs: tuple[tuple[str, ...], ...] = ()


@dataclass(slots=True)
class Outcome:
    """What became of a file.

    Attributes:
        status: ``done``, ``unchanged`` (done before, still there), ``skipped`` (no image by its nature) or ``failed``.
        sha256: of the file; ``""`` where it could not be read.
        content: of all that its images come from: `content_hash`.
        code, reason: why it was skipped or failed; see `medkit_dicom_ingest.failure.CODES`.
        rows: of the manifest, one an image. A failed file keeps those of the frames before the bad one.
        identifying: folder and file names in its path that tell whom it is of.
        links: what leads back to the patient, for the key file; empty where that is not wanted.
        stopped: why nothing more can be written; the file counts as not tried.
    """

    status: str
    sha256: str = ""
    content: str = ""
    code: str = ""
    reason: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    identifying: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    stopped: str = ""


class CannotWrite(Exception):
    """OUTPUT takes nothing more; the message says why."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one file after the other in the same way.

    Attributes:
        output: the folder that is written to.
        options: what the user chose.
        secret: of the patient keys.
        linked: give the links of every file.
    """

    output: Path
    options: Options
    secret: bytes
    linked: bool = False

    def __call__(self, task: Task) -> Outcome:
        """Return what became of a file; its images are in place when this returns."""
        outcome = Outcome("done")
        try:
            data = read_bytes(task.path, follow_links=False)
            outcome.sha256 = outcome.content = hashlib.sha256(data).hexdigest()
            outcome.content = content_hash(task.path, data, outcome.sha256)
            if self.linked and looks_like_dicom(data):
                outcome.links = links(parse(data))
            if outcome.content == task.content and self._still_there(task):
                outcome.status = "unchanged"
                return outcome
            for picture in pictures(data, task.path, self._choices()):
                outcome.rows.append(self._written(picture, outcome))
                if picture.index == 0 and picture.dataset is not None and not self.options.identifiers:
                    outcome.identifying = identifying_parts(task.name, picture.dataset, self.options.uids)
        except ImageError as error:
            outcome.status = "skipped" if error.code in SKIPPED else "failed"
            outcome.code, outcome.reason = error.code, str(error)
            if outcome.rows:
                outcome.reason = f"{error} (images before: {len(outcome.rows)}, written)"
        except CannotWrite as error:
            outcome.stopped = str(error)
        return outcome

    def _still_there(self, task: Task) -> bool:
        """Return whether every image that was made of the file is whole, and where it belongs."""
        return bool(task.outputs) and all(
            name.startswith(self._folder(risk)) and (path := self.output / name).is_file() and sha256(path) == digest
            for name, digest, risk in task.outputs
        )

    def _folder(self, risk: str) -> str:
        return QUARANTINE if risk and not self.options.allow_burned_in else IMAGES

    def _choices(self) -> Choices:
        chosen = self.options
        dtype = np.uint8 if chosen.bits == 8 else np.uint16
        return Choices(Voi.parse(chosen.voi), dtype, not chosen.grey, chosen.plane)

    def _written(self, picture: Picture, outcome: Outcome) -> dict[str, Any]:
        """Write one image and return its manifest row."""
        chosen, dataset = self.options, picture.dataset
        risk = carried_risk(picture.source) if dataset is None else burned_in_risk(dataset)
        source = shareable(picture.source, risk)
        pixels = resized(picture.pixels, chosen.longest_side, chosen.size)
        many = f"_{picture.index:05d}" if picture.source.frames > 1 else ""
        name = f"{self._folder(risk)}/{outcome.content[:2]}/{outcome.content}{many}.png"
        encoded = encode_png(pixels, {KEYWORD: carried(source)})
        try:
            with whole(self.output / name, durable=False) as temporary:
                temporary.write_bytes(encoded)
        except OSError as error:
            raise CannotWrite(why_not(error)) from error
        row = manifest.row(picture, source, pixels)
        row |= {
            "source_sha256": outcome.sha256,
            "output": name,
            "output_sha256": hashlib.sha256(encoded).hexdigest(),
            "burned_in_risk": risk,
        }
        if dataset is not None:
            row["patient_key"] = patient_key(self.secret, dataset)
            row |= {manifest.COLUMN_OF[keyword]: text(dataset, keyword) for keyword in manifest.kept(chosen)}
        return row


def content_hash(path: Path, data: bytes, sha256: str) -> str:
    """Return a file's ``sha256``; of a header whose voxels lie in files beside it, a hash of all together."""
    beside = parts(path, data) if looks_like_volume(data) else []
    if not beside:
        return sha256
    hashes = [sha256, *(hashlib.sha256(read_bytes(part, follow_links=False)).hexdigest() for part in beside)]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def why_not(error: OSError) -> str:
    """Return why OUTPUT cannot be written to, in the user's words."""
    return DISK_FULL if error.errno in NO_SPACE else f"OUTPUT cannot be written to ({error.strerror})"


def resized(pixels: np.ndarray, longest_side: int | None, size: tuple[int, int] | None) -> np.ndarray:
    """Return (H,W[,3]) pixels reduced to ``longest_side`` or stretched to ``size`` (rows, columns); never enlarged by
    the former. Reduced by the mean over the area of each new pixel, enlarged linearly.
    """
    rows, columns = pixels.shape[:2]
    if longest_side is not None and max(rows, columns) > longest_side:
        scale = longest_side / max(rows, columns)
        size = max(1, round(rows * scale)), max(1, round(columns * scale))
    if size is None or size == (rows, columns):
        return pixels
    smaller = size[0] <= rows and size[1] <= columns
    return cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
