"""Every sample of a run, in input order, however many processes shared the work."""

from __future__ import annotations

from itertools import chain, zip_longest
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine

from medkit.errors import DataError


def position(taken: int) -> int:
    """Return the place in the data set of this process's sample number ``taken``.

    A distributed sampler that does not shuffle deals samples out in turn: process r of W holds r, r + W, r + 2W, …
    """
    return taken * idist.get_world_size() + idist.get_rank()


def in_input_order(engine: Engine, rows: list[Any]) -> list[Any] | None:
    """Return the rows of all processes in input order on the first process, None on the others.

    Rows beyond the data set's length are a distributed sampler's padding and are dropped.

    Raises:
        DataError: fewer rows than samples, for instance because the run was ended early.
    """
    shares = idist.all_gather(rows) if idist.get_world_size() > 1 else [rows]
    if idist.get_rank() != 0:
        return None
    nothing = object()
    ordered = [row for row in chain.from_iterable(zip_longest(*shares, fillvalue=nothing)) if row is not nothing]
    try:
        expected = len(engine.state.dataloader.dataset)
    except (AttributeError, TypeError):
        return ordered
    if len(ordered) < expected:
        raise DataError(
            f"{len(ordered)} of {expected} samples reached the writer: nothing is written; "
            "let the run end and the loader keep its last batch"
        )
    return ordered[:expected]
