"""What the core's tests share: throw-away plugins that are really on the path, a tiny bundle, the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from medkit import cli
from medkit.registry import registry


@pytest.fixture
def make_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that puts a distribution with one module of hooks on the path."""
    yield plugin_maker(tmp_path, monkeypatch)
    registry.cache_clear()


def plugin_maker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return that function, for a folder and the changes that a fixture will undo."""

    def make(name: str, source: str, version: str = "1.0", requires: str = "medkit>=0.1") -> None:
        site = folder / f"site_{name}"
        module = f"{name.replace('-', '_')}_hooks"
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source, encoding="utf-8")
        facts = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: {requires}\n"
        (info / "METADATA").write_text(facts, encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[medkit]\nmain = {module}\n", encoding="utf-8")
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, module, raising=False)
        registry.cache_clear()

    return make


@pytest.fixture
def medkit(capsys, monkeypatch, tmp_path):
    """Return a function that runs the command line in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["medkit", *map(str, words)])
        monkeypatch.setattr(sys, "path", list(sys.path))  # MONAI puts the bundle in front
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return call


TENSOR = {"type": "image", "format": "magnitude", "spatial_shape": [32, 48], "dtype": "float32", "value_range": [0, 1]}
TENSOR |= {"is_patch_data": False, "channel_def": {"0": "grey"}}
METADATA: dict[str, Any] = {
    "schema": "https://project-monai.github.io/schema/meta_schema_20240725.json",
    "version": "0.1.0",
    "monai_version": "1.6.0",
    "pytorch_version": "2.6.0",
    "numpy_version": "2.0.0",
    "required_packages_version": {"pytorch-ignite": "0.5.0"},
    "task": "count two words",
    "description": "The smallest bundle that runs.",
    "authors": "The medkit developers",
    "copyright": "Copyright (c) The medkit developers",
    "network_data_format": {
        "inputs": {"image": {**TENSOR, "num_channels": 1}},
        "outputs": {"pred": {**TENSOR, "num_channels": 2}},
    },
}
COUNT: dict[str, Any] = {
    "bundle_root": ".",
    "output_dir": "$@bundle_root + '/out'",
    "words": ["one", "two"],
    "network_def": {
        "_target_": "UNet",
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": "$len(@words)",
        "channels": [4, 8],
        "strides": [2],
    },
    "run": ["$@output_dir + '/words'", "$len(@words)"],
}
STAGES: dict[str, Any] = {"stages": [{"name": "count", "title": "Count", "config": ["count.yaml"], "on_input": True}]}


@pytest.fixture
def tiny_bundle(tmp_path):
    """Return a function that writes a bundle which runs in no time: file → its text, or what replaces keys of it."""

    def write(files: dict[str, Any] | None = None, name: str = "tiny") -> Path:
        usual = {"configs/medkit.yaml": STAGES, "configs/count.yaml": COUNT, "configs/metadata.json": METADATA}
        for file, content in {**usual, **(files or {})}.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, dict):
                content = {**usual.get(file, {}), **content}
            text = json.dumps(content) if file.endswith(".json") else yaml.safe_dump(content)
            path.write_text(content if isinstance(content, str) else text, encoding="utf-8")
        return tmp_path / name

    return write
