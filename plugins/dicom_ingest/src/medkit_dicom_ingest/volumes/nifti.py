"""NIfTI-1, NIfTI-2 and Analyze: nibabel reads the header, the voxels are a view of the file's bytes."""

from __future__ import annotations

import logging
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from nibabel.analyze import AnalyzeHeader
from nibabel.nifti1 import Nifti1Header, Nifti1PairHeader
from nibabel.nifti2 import Nifti2Header, Nifti2PairHeader

from medkit_dicom_ingest.failure import ImageError
from medkit_dicom_ingest.volumes.companion import read_companion
from medkit_dicom_ingest.volumes.grid import Volume, check_size, flat, usable

GZIP, HEAD = b"\x1f\x8b", 544
DEFLATE_RATIO = 1032
"""No deflated byte becomes more bytes than this."""
MILLIMETRES = {"meter": 1000.0, "mm": 1.0, "micron": 0.001}
LABEL_INTENT = 1002
SILENT = logging.Logger("nibabel", logging.CRITICAL + 1)
"""Takes what nibabel says of a header that it mends."""


def header_class(data: bytes) -> type[AnalyzeHeader] | None:
    """Return nibabel's class for what the file starts with, None where it is neither NIfTI nor Analyze."""
    head = _inflated(data, HEAD)[0] if data.startswith(GZIP) else data[:HEAD]
    if head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c"):
        kinds = {b"n+1\0": Nifti1Header, b"ni1\0": Nifti1PairHeader}
        analyze = AnalyzeHeader if len(data) == 348 and head[38:39] == b"r" else None
        return kinds.get(head[344:348], analyze)
    if head[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c"):
        return {b"n+2\0": Nifti2Header, b"ni2\0": Nifti2PairHeader}.get(head[4:8])
    return None


def voxel_file(path: Path, data: bytes) -> str | None:
    """Return the name of the file with the voxels, None where they stand behind the header."""
    kind = header_class(data)
    return None if kind is None or kind.is_single else path.with_suffix(".img").name


def read_nifti(path: Path, data: bytes) -> Volume:
    """Return the volume; qform and sform count as nibabel weighs them.

    Raises:
        ImageError: truncated, corrupt, too large, or voxels that are neither real numbers nor RGB.
    """
    kind = header_class(data)
    packed = data.startswith(GZIP)
    try:
        header = kind.from_fileobj(BytesIO(_inflated(data, HEAD)[0] if packed else data[:HEAD]), check=False)
        header.check_fix(SILENT)
        dtype, sizes = header.get_data_dtype(), [int(size) for size in header.get_data_shape()]
        offset = max(int(header.get_data_offset()), 0)
    except MemoryError:
        raise
    except Exception as error:  # nibabel: HeaderDataError, KeyError, struct.error, …
        raise ImageError("corrupt", f"the NIfTI header cannot be read ({type(error).__name__}): corrupt") from error
    colour = dtype.names is not None and dtype.names[:3] == ("R", "G", "B")
    if not colour and (dtype.kind not in "iuf" or dtype.itemsize > 8):
        raise ImageError("unsupported", f"NIfTI datatype {int(header['datatype'])}: neither real numbers nor RGB")
    needed = offset + check_size(sizes, dtype.itemsize, "dim")
    if voxels_at := voxel_file(path, data):
        data, packed = read_companion(path, voxels_at), False
    if packed:
        if needed > DEFLATE_RATIO * len(data):
            raise ImageError("truncated", f"{len(data)} bytes of gzip cannot hold {needed}: truncated")
        data, whole = _inflated(data, needed)
        if not whole:
            raise ImageError("corrupt", "the gzip stream is truncated or corrupt")
    if len(data) < needed:
        raise ImageError("truncated", f"the file holds {len(data)} bytes, its header needs {needed}: truncated")
    voxels = np.ndarray((*sizes, 1, 1, 1)[: max(4, len(sizes))], dtype, data, offset, order="F")
    voxels = voxels.reshape(voxels.shape[:4], order="F")
    warnings: list[str] = []
    if colour:
        voxels = np.ndarray((*voxels.shape, 3), np.uint8, data, offset, (*voxels.strides, 1))
        slope, intercept = 1.0, 0.0
    else:
        slope, intercept = _scaling(header)
    affine, tag = _placed(header, warnings)
    return Volume(
        voxels=voxels,
        affine=affine,
        format="Analyze" if kind is AnalyzeHeader else "NIfTI",
        spacing_tag=tag,
        slope=slope,
        intercept=intercept,
        shown=(float(header["cal_min"]), float(header["cal_max"])),
        labels=kind is not AnalyzeHeader and int(header["intent_code"]) == LABEL_INTENT,
        warnings=warnings,
        owner=data,
    )


def _inflated(data: bytes, length: int) -> tuple[bytes, bool]:
    """Return at most the first ``length`` bytes of a gzip file, and whether what was read is sound."""
    parts, missing = [], length
    try:
        while missing > 0 and data.startswith(GZIP):
            inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
            parts.append(inflater.decompress(data, missing))
            missing -= len(parts[-1])
            if missing == 0 and not inflater.eof:  # the checksum is behind it, unless more follows than was asked for
                rest = inflater.decompress(inflater.unconsumed_tail, 65536)
                return b"".join(parts), inflater.eof or len(rest) == 65536
            data = inflater.unused_data
    except zlib.error:
        return b"".join(parts), False
    return b"".join(parts), True


def _scaling(header: AnalyzeHeader) -> tuple[float, float]:
    try:
        slope, intercept = header.get_slope_inter()
    except Exception as error:
        raise ImageError("bad_header", "scl_inter is not a finite number, scl_slope is") from error
    return 1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept)


def _placed(header: AnalyzeHeader, warnings: list[str]) -> tuple[np.ndarray, str]:
    """Return the matrix in millimetres and the tag that it comes from: the first usable of sform, qform and pixdim."""
    pixdim = [float(size) for size in header["pixdim"][1:4]]
    for name in ("sform", "qform") if hasattr(header, "get_sform") else ():
        try:
            affine = getattr(header, f"get_{name}")(coded=True)[0]
        except Exception:  # nibabel: HeaderDataError for a quaternion that is none
            affine = np.full((4, 4), np.nan)
        if affine is not None and usable(affine := flat(affine)):
            return _scaled(affine, header), "srow" if name == "sform" else "pixdim"
        if affine is not None:
            warnings.append(f"{name} is not usable")
    warnings.append("neither qform nor sform: the first axis is taken to run to the left, the others to front and head")
    affine = np.diag([-pixdim[0], *pixdim[1:], 1.0])
    if usable(affine):
        return _scaled(affine, header), "pixdim"
    warnings.append("pixdim is not three positive numbers: no spacing")
    return np.diag([-1.0, 1.0, 1.0, 1.0]), ""


def _scaled(affine: np.ndarray, header: AnalyzeHeader) -> np.ndarray:
    """Return the matrix in millimetres; what states no unit of length is taken to be."""
    try:
        unit = header.get_xyzt_units()[0] if hasattr(header, "get_xyzt_units") else "mm"
    except KeyError:
        unit = "unknown"
    return np.diag([*[MILLIMETRES.get(unit, 1.0)] * 3, 1.0]) @ affine
