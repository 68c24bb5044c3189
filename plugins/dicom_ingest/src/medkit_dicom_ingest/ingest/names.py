"""Names of folders and files, without those that tell whom an image is of.

Folders are often named by patient, study or date, in any spelling, so both sides are reduced to what spellings share.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable

from pydicom import Dataset

from medkit_dicom_ingest.ingest.identity import UIDS, keyed, text

PEOPLE = ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "OperatorsName",
          "ReferringPhysicianName", "PerformingPhysicianName", "NameOfPhysiciansReadingStudy",
          "RequestingPhysician")  # fmt: skip
NUMBERS = ("PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID")
DATES = ("PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
SHORT_NAME, SHORT_NUMBER = 2, 3
"""Names and numbers of so many characters count as a word of their own only: ``Li`` is in ``client``."""
_LATIN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "aa", "œ": "oe"})


def identifying_parts(path: str, dataset: Dataset, uids_stay: bool) -> list[str]:
    """Return the folder and file names in ``path`` that hold a name, number, date or UID of ``dataset``.

    Args:
        path: below SOURCE, with ``/``.
        dataset: the file's.
        uids_stay: UIDs are no secret.
    """
    words, inside = _identifiers(dataset, uids_stay)
    return [part for part in path.split("/") if _holds(part, words, inside)]


def hidden(path: str, identifies: Callable[[str], bool], secret: bytes) -> str:
    """Return ``path`` with each identifying folder or file name replaced by a keyed hash."""
    parts = path.split("/")
    return "/".join(f"~{keyed(secret, 'path', part)[:12]}" if identifies(part) else part for part in parts)


def _identifiers(dataset: Dataset, uids_stay: bool) -> tuple[set[str], set[str]]:
    """Return what counts as a word of its own, and what counts wherever it is in a name."""
    words, inside = set[str](), set[str]()
    for keyword in PEOPLE:
        for name in re.split(r"[\^=\s,;\\.\-'’]+", text(dataset, keyword)):
            for spelling in _spellings(name):
                (words if len(spelling) <= SHORT_NAME and spelling.isascii() else inside).add(spelling)
    for keyword in (*NUMBERS, *(() if uids_stay else UIDS)):
        for value in text(dataset, keyword).split("\\"):
            for spelling in {*_spellings(value), "".join(re.findall(r"\d", value))}:
                for number in (spelling, spelling.lstrip("0")):
                    (words if len(number) <= SHORT_NUMBER else inside).add(number)
    for keyword in DATES:
        inside |= _dates(text(dataset, keyword))
    return words - {""}, inside - {""}


def _holds(part: str, words: set[str], inside: set[str]) -> bool:
    readable = _readable(part)
    runs = {spelling for run in re.split(r"[\W_]+", readable) for spelling in _spellings(run)}
    runs |= {run for word in runs for run in re.findall(r"\d+|[^\W\d_]+", word)}
    runs |= {run.lstrip("0") for run in runs}
    if words & runs:
        return True
    stem = readable.rsplit(".", 1)[0] if re.search(r"\.\w{1,4}$", readable) else readable
    joined = {spelling for whole in (readable, stem) for spelling in _spellings(whole)}
    numbers = re.findall(r"\d+", readable)
    joined |= {"".join(numbers), "".join(n.zfill(2) for n in numbers)}
    return any(value in name for value in inside for name in joined)


def _readable(part: str) -> str:
    """Return a name as text, also where its bytes are Latin-1, as old servers wrote them."""
    raw = os.fsencode(part)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _spellings(word: str) -> set[str]:
    """Return a word in lower case without marks and separators, with umlauts written both ways."""
    composed = unicodedata.normalize("NFKC", word).lower()
    found = set[str]()
    for spelling in (composed, composed.translate(_LATIN)):
        plain = unicodedata.normalize("NFKD", spelling)
        found.add("".join(letter for letter in plain if letter.isalnum()).replace("ß", "ss"))
    return found | {spelling.replace("ae", "a").replace("oe", "o").replace("ue", "u") for spelling in found}


def _dates(value: str) -> set[str]:
    """Return a DICOM date as people write it, without separators."""
    digits = re.sub(r"\D", "", value)[:8]
    if len(digits) != 8:
        return set()
    year, month, day = digits[:4], digits[4:6], digits[6:]
    years = (year, year[2:])
    return {"".join(order) for y in years for order in ((y, month, day), (day, month, y), (month, day, y))}
