"""Who an image is of: a keyed hash instead of the patient id.

The secret stays with the user and never lies in OUTPUT: a hash of a patient id without one is found by trying all ids.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

import click
from pydicom import Dataset

from medkit.errors import ConfigError
from medkit_dicom_ingest.dicom.elements import element
from medkit_dicom_ingest.failure import ImageError

UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
LINKS = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "AccessionNumber", "StudyID", "StudyDate",
         *UIDS)  # fmt: skip
"""What links an image back to its patient, in the order of the key file's columns."""


def read_secret(path: Path | None) -> bytes:
    """Return the secret in ``path``, by default in the user's own settings; it is made where there is none.

    Raises:
        ConfigError: it cannot be read or made, or is too short.
    """
    path = path or Path(click.get_app_dir("medkit")) / "ingest.secret"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32) + "\n")
        secret = path.read_bytes().strip()
        others = path.stat().st_mode & 0o077 if os.name == "posix" else 0
    except OSError as error:
        raise ConfigError(
            f"the secret of the patient keys, {path}, cannot be read or made ({error.strerror}): name another with "
            "--secret-file"
        ) from error
    if others:
        raise ConfigError(f"the secret in {path} can be read by others: chmod 600 {path}")
    if len(secret) < 16:
        raise ConfigError(f"the secret in {path} has {len(secret)} bytes, expected 16 or more: remove the file")
    return secret


def keyed(secret: bytes, *parts: str) -> str:
    """Return 32 hexadecimal digits that only the secret's owner can make (HMAC-SHA-256, RFC 2104)."""
    return hmac.new(secret, "\0".join(parts).encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]


def patient_key(secret: bytes, dataset: Dataset) -> str:
    """Return the patient's key, the same in every file with this id and issuer; ``""`` where the file has no id."""
    number = text(dataset, "PatientID")
    return keyed(secret, "patient", text(dataset, "IssuerOfPatientID"), number) if number else ""


def links(dataset: Dataset) -> dict[str, str]:
    """Return what `LINKS` names, as text."""
    return {keyword: text(dataset, keyword) for keyword in LINKS}


def text(dataset: Dataset, keyword: str) -> str:
    """Return an element as one printable line, ``""`` where it is absent or cannot be read."""
    try:
        found = element(dataset, keyword)
    except ImageError:
        return ""
    value = "" if found is None else str(found.value) if found.VM <= 1 else "\\".join(map(str, found.value))
    return "".join(letter if letter.isprintable() else " " for letter in value).strip()
