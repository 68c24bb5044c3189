"""Single values out of a pydicom data set, with their VR, multiplicity and range checked."""

from __future__ import annotations

import functools
import logging
import math
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag, Tag

from medkit_dicom_ingest.failure import ImageError

_lock = threading.RLock()


def _new_lock() -> None:
    """A forked data-loading worker must not inherit a lock that a thread of its parent holds."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)


@contextmanager
def quiet() -> Iterator[list[warnings.WarningMessage]]:
    """Silence pydicom and Pillow, give what they warned of; what matters of it becomes a fact or an error.

    Their warnings and pydicom's log quote values, which may be a patient's. The lock is there because Python's warning
    filters belong to the whole process: two threads that save and restore them in turn would leave them changed.
    """
    with _lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        log = logging.getLogger("pydicom")
        before, log.disabled = log.disabled, True
        try:
            yield caught
        finally:
            log.disabled = before


@functools.cache
def tag_of(keyword: str) -> BaseTag:
    """Return the tag of a keyword of the dictionary."""
    return Tag(keyword)


def name(keyword: str) -> str:
    """Return ``Rows (0028,0010)`` for ``Rows``."""
    return f"{keyword} {tag_of(keyword)}"


def element(dataset: Dataset, keyword: str) -> DataElement | None:
    """Return the element, or None where it is absent or empty.

    Raises:
        ImageError: pydicom cannot convert its value.
    """
    tag = tag_of(keyword)
    try:
        held = dataset.get_item(tag)
        if held is None:
            return None
        if isinstance(held, RawDataElement):  # converted now, of which pydicom may complain
            with quiet():
                held = dataset[tag]
        return None if held.is_empty else held
    except Exception as error:  # pydicom raises ValueError, struct.error, OverflowError, … by VR
        raise ImageError("bad_header", f"{name(keyword)} cannot be read as {dictionary_VR(keyword)}") from error


def integer(dataset: Dataset, keyword: str, low: int, high: int, default: int | None = None) -> int:
    """Return the one integer of ``keyword``, which lies in low…high.

    Raises:
        ImageError: missing without a default, another VR than the dictionary's, several values, or out of range.
    """
    found = element(dataset, keyword)
    if found is None:
        if default is None:
            raise ImageError("bad_header", f"{name(keyword)} is missing")
        return default
    expected = dictionary_VR(keyword)
    if expected != found.VR:
        raise ImageError("bad_header", f"{name(keyword)} has VR {found.VR}, expected {expected}")
    if found.VM != 1:
        raise ImageError("bad_header", f"{name(keyword)} has {found.VM} values, expected 1")
    try:
        value = int(found.value)
    except (TypeError, ValueError):
        raise ImageError("bad_header", f"{name(keyword)} is not an integer") from None
    if not low <= value <= high:
        raise ImageError("bad_header", f"{name(keyword)} is {value}, expected {low} to {high}")
    return value


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """Return the numbers of ``keyword``: [] where absent, NaN for what is not a number."""
    try:
        found = element(dataset, keyword)
        values = [] if found is None else ([found.value] if found.VM == 1 else list(found.value))
        return [math.nan if v is None or v == "" else float(v) for v in values]
    except (ImageError, TypeError, ValueError):
        return [math.nan]


def code(dataset: Dataset, keyword: str) -> str:
    """Return a code string in upper case, values joined by a backslash; ``""`` where absent.

    Only letters, digits, space and ``_\\-.+/`` survive and at most 64 of them: facts are written to tables and pages.
    """
    try:
        found = element(dataset, keyword)
    except ImageError:
        return ""
    if found is None:
        return ""
    value = found.value if isinstance(found.value, str) or found.VM == 1 else "\\".join(str(v) for v in found.value)
    return re.sub(r"[^A-Z0-9 _\\\-.+/]", "", str(value).upper()).strip()[:64]


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence; none where it is absent or no sequence."""
    try:
        found = element(dataset, keyword)
    except ImageError:
        return []
    return list(found.value) if found is not None and found.VR == "SQ" else []
