"""What the core's tests share: throw-away plugins that are really installed on the path."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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
