"""One file to bitmaps and manifest rows: what a worker process does."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
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
from medkit_dicom_ingest.ingest.burned_in import burned_in_risk
from medkit_dicom_ingest.ingest.identity import links, patient_key, text, without_identifiers
from medkit_dicom_ingest.ingest.options import Options
from medkit_dicom_ingest.ingest.png import encode_png
from medkit_dicom_ingest.ingest.shareable import shareable
from medkit_dicom_ingest.pictures import Choices, Picture, pictures, read_bytes

IMAGES, QUARANTINE = "images", "quarantine"
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Task:
    """One file to read.

    Attributes:
        name: its path below SOURCE, with ``/``.
        path: where it is.
        sha256: of its content when it was done before, else ``""``.
        outputs: (path below OUTPUT, SHA-256) of what was made then.
    """

    name: str
    path: Path
    sha256: str = ""
    outputs: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Outcome:
    """What became of a file.

    Attributes:
        status: ``done``, ``unchanged`` (done before, still there), ``skipped`` (no image by its nature) or ``failed``.
        sha256: of its content, ``""`` where it could not be read.
        code, reason: why it was skipped or failed; see `medkit_dicom_ingest.failure.CODES`.
        rows: of the manifest, one an image. A failed file keeps those of the frames before the bad one.
        links: what leads back to the patient, for the key file; empty where that is not wanted.
        disk_full: nothing more can be written; the file counts as not tried.
    """

    status: str
    sha256: str = ""
    code: str = ""
    reason: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    disk_full: bool = False


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
            outcome.sha256 = hashlib.sha256(data).hexdigest()
            if self.linked and looks_like_dicom(data):
                outcome.links = links(parse(data))
            if outcome.sha256 == task.sha256 and self._still_there(task):
                outcome.status = "unchanged"
                return outcome
            for row in self._rows(task, data, outcome.sha256):
                outcome.rows.append(row)
        except ImageError as error:
            outcome.status = "skipped" if error.code in SKIPPED else "failed"
            outcome.code, outcome.reason = error.code, str(error)
            if outcome.rows:
                outcome.reason = f"{error} (images before: {len(outcome.rows)}, written)"
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            outcome.disk_full = True
        return outcome

    def _still_there(self, task: Task) -> bool:
        """Return whether every image that was made of the file is whole, and where it belongs."""
        free = (IMAGES, QUARANTINE) if not self.options.allow_burned_in else (IMAGES,)
        return bool(task.outputs) and all(
            name.split("/", 1)[0] in free and (path := self.output / name).is_file() and sha256(path) == digest
            for name, digest in task.outputs
        )

    def _rows(self, task: Task, data: bytes, digest: str) -> Iterator[dict[str, Any]]:
        for picture in pictures(data, task.path, self._choices()):
            yield self._written(task, picture, digest)

    def _choices(self) -> Choices:
        chosen = self.options
        dtype = np.uint8 if chosen.bits == 8 else np.uint16
        return Choices(Voi.parse(chosen.voi), dtype, not chosen.grey, chosen.plane)

    def _written(self, task: Task, picture: Picture, digest: str) -> dict[str, Any]:
        """Write one image and return its manifest row."""
        chosen, dataset = self.options, picture.dataset
        risk = "" if dataset is None else burned_in_risk(dataset)
        source = shareable(picture.source)
        pixels = resized(picture.pixels, chosen.longest_side, chosen.size)
        many = f"_{picture.index:05d}" if picture.source.frames > 1 else ""
        folder = QUARANTINE if risk and not chosen.allow_burned_in else IMAGES
        name = f"{folder}/{digest[:2]}/{digest}{many}.png"
        encoded = encode_png(pixels, {KEYWORD: carried(source)})
        with whole(self.output / name, durable=False) as temporary:
            temporary.write_bytes(encoded)
        row = manifest.row(picture, source, pixels)
        row |= {
            "source": task.name,
            "source_sha256": digest,
            "output": name,
            "output_sha256": hashlib.sha256(encoded).hexdigest(),
            "burned_in_risk": risk,
        }
        if dataset is not None:
            row["patient_key"] = patient_key(self.secret, dataset)
            row |= {manifest.COLUMN_OF[keyword]: text(dataset, keyword) for keyword in manifest.kept(chosen)}
            if not chosen.identifiers:
                row["source"] = without_identifiers(task.name, dataset, self.secret, chosen.uids)
        return row


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
