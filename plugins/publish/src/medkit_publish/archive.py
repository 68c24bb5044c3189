"""The zip file: a bundle with a model inside, byte for byte the same whenever it is written."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from medkit.configuration import is_inside
from medkit.errors import TrustError
from medkit.files import whole
from medkit.lock import LOCK
from medkit_publish.baked import baked, resized
from medkit_publish.finished import FinishedModel

_FOLDERS = ("configs", "docs")
_TIME = (1980, 1, 1, 0, 0, 0)
"""Of every file in the archive: the earliest that a zip file can say."""


def write_zip(model: FinishedModel, output: Path | None = None) -> Path:
    """Write ``NAME_vVERSION.zip`` as MONAI's model zoo has it, and return its path.

    Raises:
        TrustError: a link leads out of the bundle.
    """
    file = output or Path(f"{model.bundle.name}_v{model.bundle.metadata['version']}.zip")
    content = dict(_content(model))
    with whole(file) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(content):
            entry = zipfile.ZipInfo(f"{model.bundle.name}/{name}", _TIME)
            entry.external_attr, entry.create_system = 0o644 << 16, 3
            archive.writestr(entry, content[name], zipfile.ZIP_DEFLATED, 6)
    return file


def _content(model: FinishedModel) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of every file."""
    bundle = model.bundle
    on_input = {name for stage in bundle.stages if stage.on_input for name in stage.config}
    metadata = bundle.metadata
    for path in [bundle.root / "LICENSE", *(p for folder in _FOLDERS for p in (bundle.root / folder).rglob("*"))]:
        if not is_inside(path, bundle.root):
            raise TrustError(f"{path} is a link that leads out of the bundle: put the file there instead")
        name = path.relative_to(bundle.root).as_posix()
        if name == LOCK:  # of other files than those in here
            continue
        if path.is_file() and (path.suffix != ".yaml" or path.name == "medkit.yaml"):
            yield name, path.read_bytes()
        elif path.is_file():
            written = path.read_text(encoding="utf-8")
            own = {"model_dir": "@bundle_root"} if path.name in on_input else {}
            text = baked(written, {**model.options, **own})
            yield name, text.encode()
            config = yaml.safe_load(text)
            if own and "network_def" in config:
                yield str(Path(name).with_suffix(".json")), _json(config)  # MONAI's load reads JSON alone
                size = yaml.safe_load(written).get("image_size")
                metadata = (
                    resized(metadata, size, config["image_size"]) if size != config.get("image_size") else metadata
                )
    if metadata != bundle.metadata:
        yield "configs/metadata.json", _json(metadata)
    for name in model.files:
        yield name, (model.run / name).read_bytes()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
