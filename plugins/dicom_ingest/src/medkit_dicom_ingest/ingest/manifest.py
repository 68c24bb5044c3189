"""The manifest: one row an image, as CSV or Parquet, always in the same order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from medkit.errors import ConfigError
from medkit.files import whole
from medkit.tables import read_csv, write_csv
from medkit_dicom_ingest.facts import Source
from medkit_dicom_ingest.ingest.identity import LINKS, UIDS
from medkit_dicom_ingest.ingest.options import Options
from medkit_dicom_ingest.pictures import Picture

COLUMNS: dict[str, type] = {
    "source": str,
    "source_sha256": str,
    "output": str,
    "output_sha256": str,
    "format": str,
    "frame": int,
    "frames": int,
    "plane": str,
    "sop_class": str,
    "modality": str,
    "body_part": str,
    "view_position": str,
    "laterality": str,
    "patient_orientation": str,
    "rows": int,
    "columns": int,
    "output_rows": int,
    "output_columns": int,
    "scale_x": float,
    "scale_y": float,
    "spacing_row_mm": float,
    "spacing_column_mm": float,
    "spacing_tag": str,
    "pixel_aspect_ratio": float,
    "photometric_interpretation": str,
    "bits_stored": int,
    "output_bits": int,
    "window": str,
    "colour": bool,
    "for_processing": bool,
    "synthetic": bool,
    "burned_in_annotation": str,
    "burned_in_risk": str,
    "patient_key": str,
    "patient_sex": str,
    "age_band": str,
    "warnings": str,
}
"""Column → type. ``scale_x`` and ``scale_y`` are source pixels per output pixel: x in the source = scale_x · x in the
output, both counted from the left edge of the first pixel."""
COLUMN_OF = {
    "PatientID": "patient_id",
    "IssuerOfPatientID": "issuer_of_patient_id",
    "PatientName": "patient_name",
    "PatientBirthDate": "patient_birth_date",
    "AccessionNumber": "accession_number",
    "StudyID": "study_id",
    "StudyDate": "study_date",
    "StudyInstanceUID": "study_instance_uid",
    "SeriesInstanceUID": "series_instance_uid",
    "SOPInstanceUID": "sop_instance_uid",
}
"""Attribute that identifies → the column that holds it where the user asks for it."""
FAILURES = ("source", "sha256", "status", "code", "reason")
ROWS_AT_ONCE = 1000


def columns(options: Options) -> dict[str, type]:
    """Return the columns of a manifest."""
    return COLUMNS | {COLUMN_OF[keyword]: str for keyword in kept(options)}


def kept(options: Options) -> tuple[str, ...]:
    """Return the attributes that identify and are kept all the same, because the user asks for them."""
    return LINKS if options.identifiers else UIDS if options.uids else ()


def row(picture: Picture, source: Source, pixels: np.ndarray) -> dict[str, Any]:
    """Return what the manifest says about an image, but for its files and its patient.

    Args:
        picture: the image.
        source: what may be shared of its facts.
        pixels: (H,W) or (H,W,3), as written.
    """
    spacing = source.spacing_mm or (None, None)
    return {
        "format": source.format,
        "frame": picture.index,
        "frames": source.frames,
        "plane": source.plane,
        "sop_class": source.sop_class,
        "modality": source.modality,
        "body_part": source.body_part,
        "view_position": source.view_position,
        "laterality": source.laterality,
        "patient_orientation": source.orientation,
        "rows": source.rows,
        "columns": source.columns,
        "output_rows": pixels.shape[0],
        "output_columns": pixels.shape[1],
        "scale_x": source.columns / pixels.shape[1],
        "scale_y": source.rows / pixels.shape[0],
        "spacing_row_mm": spacing[0],
        "spacing_column_mm": spacing[1],
        "spacing_tag": source.spacing_tag,
        "pixel_aspect_ratio": source.aspect[0] / source.aspect[1] if source.aspect else None,
        "photometric_interpretation": source.photometric,
        "bits_stored": source.bits_stored,
        "output_bits": 8 * pixels.dtype.itemsize,
        "window": source.window,
        "colour": source.colour,
        "for_processing": source.for_processing,
        "synthetic": source.synthetic,
        "burned_in_annotation": picture.source.burned_in,
        "patient_sex": source.patient_sex,
        "age_band": source.age_band,
        "warnings": "; ".join(source.warnings),
    }


def write_manifest(path: Path, kinds: dict[str, type], rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as they come, a thousand in memory at once; the format is that of the file's suffix.

    Raises:
        ConfigError: Parquet is asked for and pyarrow is not installed.
    """
    if path.suffix == ".csv":
        write_csv(path, list(kinds), (_as_text(line, kinds) for line in rows))
    else:
        _write_parquet(path, kinds, iter(rows))


def read_manifest(output: Path) -> list[dict[str, Any]]:
    """Return the manifest's rows, none where there is no manifest; cells of a CSV file are text.

    Raises:
        ConfigError: it is a Parquet file and pyarrow is not installed.
    """
    table = output / "manifest.parquet"
    if not table.is_file():
        return list(read_csv(output / "manifest.csv"))
    require_parquet()
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(table).to_pylist()
    return rows


def require_parquet() -> None:
    """Refuse to begin what could not be ended.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ConfigError("a manifest as Parquet needs pyarrow: pip install pyarrow, or take --manifest csv") from error


def _as_text(line: dict[str, Any], kinds: dict[str, type]) -> dict[str, Any]:
    return {name: "" if line.get(name) is None else line[name] for name in kinds}


def _as_utf8(line: dict[str, Any], kinds: dict[str, type]) -> dict[str, Any]:
    """Return a row for Parquet, which holds UTF-8 only; other bytes of a file's name become ``\\xe9``."""
    return {name: line.get(name) for name in kinds} | {
        "source": os.fsencode(line["source"]).decode("utf-8", "backslashreplace")
    }


def _write_parquet(path: Path, kinds: dict[str, type], rows: Iterator[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()])
    with whole(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        while some := list(islice(rows, ROWS_AT_ONCE)):
            writer.write_table(pa.Table.from_pylist([_as_utf8(line, kinds) for line in some], schema))
