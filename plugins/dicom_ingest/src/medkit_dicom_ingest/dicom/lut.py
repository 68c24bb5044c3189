"""Look-up tables of DICOM (PS3.3 C.11.1.1, C.11.2.1.1).

pydicom's own indexes modulo 256 for 8-bit entries and cannot read packed ones, so it is done here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from medkit_dicom_ingest.dicom.elements import element, name
from medkit_dicom_ingest.failure import ImageError

INTEGERS = ("US", "SS", "OW", "OB", "US or SS", "US or OW", "US or SS or OW", "UN")


@dataclass(frozen=True, slots=True)
class LookUpTable:
    """One table of LUTDescriptor and LUTData.

    Attributes:
        first: the input that the first entry belongs to; inputs outside take the nearest entry.
        entries: (n,) uint16.
        bits: bits an entry, so that 2^bits − 1 is white.
    """

    first: int
    entries: np.ndarray
    bits: int

    def __call__(self, values: np.ndarray) -> np.ndarray:
        index = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1).astype(np.int64)
        return self.entries[index].astype(np.float64)

    @property
    def white(self) -> int:
        return (1 << self.bits) - 1


def read_table(
    dataset: Dataset, signed: bool, little_endian: bool, descriptor: str = "LUTDescriptor", data: str = "LUTData"
) -> LookUpTable:
    """Return a table, its entries unpacked.

    Args:
        dataset: the item that holds it.
        signed: the table's inputs can be negative.
        little_endian: byte order of entries that are bytes.
        descriptor: keyword of the element with count, first input and bits.
        data: keyword of the entries.

    Raises:
        ImageError: the descriptor is not three numbers in range, or there are fewer entries than it says.
    """
    described, stored = element(dataset, descriptor), element(dataset, data)
    if described is None or stored is None:
        raise ImageError("bad_header", f"{name(descriptor if described is None else data)} is missing or empty")
    if described.VM != 3:
        raise ImageError("bad_header", f"{name(descriptor)} has {described.VM} values, expected 3")
    for keyword, found in ((descriptor, described), (data, stored)):
        if found.VR not in INTEGERS:
            raise ImageError("bad_header", f"{name(keyword)} has VR {found.VR}, expected integers")
    count, first, bits = (int(value) for value in described.value)
    count = count % 65536 or 65536  # 0 means 65,536, and a signed VR makes large counts negative
    if signed:
        first = (first + 32768) % 65536 - 32768
    if not 8 <= bits <= 16:
        raise ImageError("bad_header", f"{name(descriptor)} says {bits} bits an entry, expected 8 to 16")
    entries = _entries(stored.value, count, bits, little_endian)
    if len(entries) < count:
        raise ImageError("bad_header", f"{name(data)} has {len(entries)} entries, {name(descriptor)} says {count}")
    entries = entries[:count]
    return LookUpTable(first, entries, max(bits, int(entries.max()).bit_length()))


def _entries(value: object, count: int, bits: int, little_endian: bool) -> np.ndarray:
    """Return LUTData as uint16; 8-bit entries may be packed two to a word."""
    if isinstance(value, bytes):
        if bits == 8 and len(value) < 2 * count:
            packed = np.frombuffer(value, np.uint8)
            if not little_endian:
                packed = packed[: len(packed) // 2 * 2].reshape(-1, 2)[:, ::-1].ravel()
            return packed.astype(np.uint16)
        words = np.frombuffer(value[: len(value) // 2 * 2], "<u2" if little_endian else ">u2")
        return words.astype(np.uint16)
    words = (np.atleast_1d(np.asarray(value, np.int64)) % 65536).astype("<u2")
    packed_count = count + count % 2
    if bits == 8 and 2 * len(words) == packed_count:
        return words.view(np.uint8).astype(np.uint16)
    return words.astype(np.uint16)
