"""What lies below the folders ``yes`` and ``no``."""

from __future__ import annotations

import filecmp
import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medkit.errors import DataError
from medkit_brain_mri.itk_io import patient_of, series_in
from medkit_brain_mri.volume import is_dicom, is_volume_file, suffix

CLASSES = ("no", "yes")
"""In the order of the label."""
NESTED = "brain_tumor_dataset"
"""The public zip holds everything a second time in this folder."""
Patients = Literal["id", "volume", "folder"]
_LITTER = {"thumbs.db", "desktop.ini", "dicomdir", "__macosx"}
_SIDECARS = (".json", ".bval", ".bvec", ".raw", ".zraw")
_BITMAPS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".gif", ".webp")


@dataclass(frozen=True, slots=True)
class Entry:
    """One bitmap, or one volume.

    Attributes:
        path: of the file; of the first file, in ITK's order, of a DICOM series.
        tumour: whether it lies below ``yes``.
        volume: whether it is to be cut into slices.
        patient: what volumes of one patient share, and nothing else does; empty for a bitmap.
    """

    path: Path
    tumour: bool
    volume: bool
    patient: str = ""


def read_layout(root: Path, patients: Patients = "id") -> list[Entry]:
    """Return every image below ``yes`` and ``no`` (whatever their case), each once, class by class, by name.

    Files that are no images are returned as bitmaps, so that they are listed as errors where they are read; what
    systems leave behind, and companions of volumes, are left out.

    Args:
        root: holds the two folders, or a folder `NESTED` that does. What lies in both counts once.
        patients: what volumes of one patient share, beside their bytes: ``id``, in DICOM series, PatientID;
            ``folder``, the folder directly below the class; ``volume``, nothing.

    Raises:
        DataError: a class has no folder, or its folder holds nothing.
    """
    homes = _homes(root)
    entries: list[Entry] = []
    for name in CLASSES:
        files: dict[Path, tuple[Path, Path]] = {}
        for home in homes[name]:
            for file in _files(home):
                inside = file.relative_to(home)
                if inside not in files:
                    files[inside] = file, home
                elif not filecmp.cmp(file, files[inside][0], shallow=False):
                    files[home.parent.name / inside] = file, home
        if not files:
            shown = " and ".join(str(home) for home in homes[name])
            raise DataError(f'the class "{name}" is empty: {shown} holds no file. Both classes are needed.')
        entries += _entries(name == "yes", list(files.values()), patients)
    return entries


def read_folder(root: Path) -> list[Entry]:
    """Return every image below a folder that has no classes, as `read_layout` does; ``tumour`` says nothing.

    Raises:
        DataError: there is no such folder, or it holds nothing.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: give the path of a folder of images")
    if not (files := _files(root)):
        raise DataError(f"{root} holds no file: give a folder of bitmaps, volumes or DICOM series")
    return _entries(False, [(file, root) for file in files], "id")


def _homes(root: Path) -> dict[str, list[Path]]:
    """Return the folders of each class: those directly in ``root`` first, then those in `NESTED`."""
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: give the path of the data set")
    nested = [entry for entry in sorted(root.iterdir()) if entry.is_dir() and entry.name.casefold() == NESTED]
    found: dict[str, list[Path]] = {name: [] for name in CLASSES}
    for place in (root, *nested):
        for entry in sorted(place.iterdir()):
            if entry.is_dir() and entry.name.casefold() in CLASSES:
                found[entry.name.casefold()].append(entry)
    if missing := [name for name in CLASSES if not found[name]]:
        there = ", ".join(sorted(entry.name for entry in root.iterdir())[:8]) or "nothing"
        raise DataError(
            f"{root} has no folder {' and no folder '.join(missing)}; it holds {there}. Expected: yes/ and no/."
        )
    return found


def _files(home: Path) -> list[Path]:
    files = []
    for folder, folders, names in os.walk(home, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name.casefold() not in _LITTER)
        files += [Path(folder, name) for name in sorted(names)]
    return [
        file
        for file in files
        if not file.name.startswith(".") and file.name.casefold() not in _LITTER and suffix(file) not in _SIDECARS
    ]


def _entries(tumour: bool, files: Sequence[tuple[Path, Path]], patients: Patients) -> list[Entry]:
    """Return bitmaps, volumes, and series in place of their files."""
    entries, dicom = [], defaultdict(list)
    for file, home in files:
        if is_volume_file(file):
            entries.append(Entry(file, tumour, True, _owner(file, home, patients) or _content(file)))
        elif file.suffix.lower() not in _BITMAPS and is_dicom(file):
            dicom[file.parent, home].append(file)
        else:
            entries.append(Entry(file, tumour, False))
    for (folder, home), members in dicom.items():
        wanted, placed = set(members), set()
        for series in series_in(folder):
            if series[0] in wanted:
                placed.update(series)
                patient = _owner(series[0], home, patients) or _hashed(series[0], patients)
                entries.append(Entry(series[0], tumour, True, patient))
        entries += [Entry(file, tumour, False) for file in members if file not in placed]
    return sorted(entries, key=lambda entry: (entry.path.parent, _natural(entry.path.name)))


def _owner(file: Path, home: Path, patients: Patients) -> str:
    """Return the folder directly below the class, where that is the patient."""
    inside = file.relative_to(home).parts
    return f"folder {home.name}/{inside[0]}" if patients == "folder" and len(inside) > 1 else ""


def _content(file: Path) -> str:
    """Return the volume's SHA-256: an identical copy is the same patient."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _hashed(file: Path, patients: Patients) -> str:
    """Return what a DICOM file's patient is known by: a hash, for PatientID is patient data."""
    text = (patient_of(file) if patients == "id" else "") or str(file)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that puts ``Y2`` before ``Y10``."""
    digits, key = "", []
    for letter in name.casefold() + " ":
        if letter.isdigit():
            digits += letter
            continue
        if digits:
            key.append((int(digits), ""))
            digits = ""
        key.append((-1, letter))
    return key
