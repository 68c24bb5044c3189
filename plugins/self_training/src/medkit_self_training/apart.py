"""Whether two sets of images have none in common."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from functools import cache

from medkit.errors import DataError
from medkit.files import sha256


def require_apart(first: Iterable[str], second: Iterable[str], wrong: str, do: str) -> None:
    """Refuse images of ``first`` that are also in ``second``: the same file, links followed, or the same bytes.

    Args:
        first: paths.
        second: paths; of these and the others only files of equal size are read.
        wrong: what it is that they should not be.
        do: what to do about it.

    Raises:
        DataError: with how many there are, and the first of them.
    """
    places = {os.path.realpath(path): path for path in second}
    sizes = defaultdict(list)
    for real in places:
        if os.path.isfile(real):  # noqa: PTH113 - Path is three times slower here
            sizes[os.path.getsize(real)].append(real)  # noqa: PTH202
    content, shared = cache(sha256), []
    for path in (paths := list(first)):
        if (real := os.path.realpath(path)) in places:
            shared.append((path, places[real], "the same file"))
        elif os.path.isfile(real):  # noqa: PTH113
            twins = sizes.get(os.path.getsize(real), [])  # noqa: PTH202
            twin = next((twin for twin in twins if content(twin) == content(real)), None)
            if twin is not None:
                shared.append((path, places[twin], "the same content"))
    if shared:
        one, other, how = shared[0]
        raise DataError(f"{len(shared)} of {len(paths)} {wrong}: {one} is {how} as {other}: {do}")
