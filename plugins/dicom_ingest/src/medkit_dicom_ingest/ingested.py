"""What `medkit ingest` has made, as a data set without labels."""

from __future__ import annotations

from pathlib import Path

from medkit import contracts as c
from medkit.errors import ConfigError, DataError, did_you_mean
from medkit_dicom_ingest.folder import SECTIONS
from medkit_dicom_ingest.ingest.manifest import read_manifest


def ingested(
    dataset_dir: str, section: str = "all", quarantined: bool = False, limit: int | None = None
) -> list[c.Sample]:
    """Return ``[{"image": path, "patient_id": key, "synthetic": bool}, …]`` in the manifest's order.

    The bitmaps carry their own size and facts, so that boxes come out in pixels of the original images.

    Args:
        dataset_dir: OUTPUT of `medkit ingest`.
        section: any; a manifest has no split, so each gives all images.
        quarantined: include images that may show text.
        limit: how many at most.

    Raises:
        DataError: there is no manifest, or it names no image.
        ConfigError: the section's name is wrong.
    """
    if section not in SECTIONS:
        raise ConfigError(
            f'section "{section}" is unknown.{did_you_mean(section, SECTIONS)} One of: {", ".join(SECTIONS)}'
        )
    root = Path(dataset_dir).expanduser().absolute()
    rows = read_manifest(root)
    if not rows:
        raise DataError(f'"{dataset_dir}" has no manifest with images: give the OUTPUT of `medkit ingest`')
    chosen = [row for row in rows if quarantined or row["output"].startswith("images/")]
    if not chosen:
        raise DataError(f'all {len(rows)} images of "{dataset_dir}" are in quarantine: set quarantined to take them')
    return [
        {
            c.IMAGE: str(root / row["output"]),
            c.PATIENT: row["patient_key"] or "",
            c.SYNTHETIC: str(row["synthetic"]) == "True",
        }
        for row in chosen[:limit]
    ]
