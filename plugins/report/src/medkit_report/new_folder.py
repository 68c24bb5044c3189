"""A folder of files that appears whole, when a run has completed."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Collection
from pathlib import Path

import ignite.distributed as idist

from medkit.files import require_writable


class NewFolder:
    """A folder that is filled beside its place and takes it, and that of an earlier one, in the end.

    A run that fails leaves the earlier one as it was.

    Args:
        place: where the folder goes.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.beside = place.parent / f".{place.name}.partial"
        self._cleanup: weakref.finalize | None = None

    def start(self) -> None:
        """Begin with an empty folder; every process calls it.

        Raises:
            TrustError: see `medkit.files.require_writable`.
        """
        if idist.get_rank() == 0:
            require_writable(self.place.parent)
            self._over()
            shutil.rmtree(self.beside, ignore_errors=True)
            self.beside.mkdir(parents=True)
            # An EXCEPTION_RAISED handler would keep the error from the handlers after it: clean up without one.
            self._cleanup = weakref.finalize(self, shutil.rmtree, self.beside, ignore_errors=True)
        idist.barrier()

    def finish(self, names: Collection[str]) -> None:
        """Rename it into place with the files of these names; others are of a distributed sampler's padding."""
        for file in self.beside.iterdir():
            if file.name not in names:
                file.unlink()
        shutil.rmtree(self.place, ignore_errors=True)
        self.beside.replace(self.place)
        self._over()

    def discard(self) -> None:
        """Leave none, neither the new one nor an earlier one."""
        shutil.rmtree(self.beside)
        shutil.rmtree(self.place, ignore_errors=True)
        self._over()

    def _over(self) -> None:
        """Leave what is filled beside the place from now on to whoever fills it: this object may live on for long."""
        if self._cleanup is not None:
            self._cleanup.detach()
