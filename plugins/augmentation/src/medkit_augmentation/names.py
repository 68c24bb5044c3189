"""What the files of an expansion are called."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from medkit.errors import DataError

IMAGES = "images"
_SUFFIX = re.compile(r"\.[A-Za-z]\w{0,4}$")
"""A DICOM file that is named by its UID alone has none."""


def stems(paths: Sequence[str]) -> list[str]:
    """Return a name for each file: its own without the suffix, with its folders where two files share one."""
    names = [_SUFFIX.sub("", Path(path).name) for path in paths]
    if len(set(names)) == len(names):
        return names
    root = os.path.commonpath([Path(path).parent for path in paths])
    return [_SUFFIX.sub("", "_".join(Path(path).relative_to(root).parts)) for path in paths]


def file_name(stem: str, copy: int) -> str:
    """Return the file of a copy (1 and up), or of the original (0), below the output folder."""
    return f"{IMAGES}/{stem}_{copy}.png" if copy else f"{IMAGES}/{stem}.png"


def require_distinct(names: Sequence[tuple[str, int]], paths: Sequence[str]) -> None:
    """Check that no two files would take one name, whatever the case of its letters.

    Args:
        names: stem and number of copies of each source file.
        paths: the source files.

    Raises:
        DataError: with both.
    """
    source: dict[str, str] = {}
    for (stem, copies), path in zip(names, paths, strict=True):
        for name in (file_name(stem, copy) for copy in range(copies + 1)):
            if name.casefold() in source:
                other = source[name.casefold()]
                raise DataError(f"{name} would be made of both {other} and {path}: rename or remove one of them")
            source[name.casefold()] = path
