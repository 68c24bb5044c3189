"""Every block of code on every page: YAML names parts and options that exist, the rest is run.

A block that cannot be run says so on its page, `<!-- not run: why -->`, and is listed among the skipped tests, whose
numbers may not grow (`tests/allowed_skips.json`). `<!-- run by tests/test_x.py -->` names another test that runs it.
"""

from __future__ import annotations

import inspect
import json
import os
import pydoc
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import yaml
from monai.bundle import ConfigComponent

import medkit
from medkit.hookspecs import HOOKS
from medkit.registry import registry

ROOT = Path(__file__).parent.parent
PATTERNS = ("*.md", "docs/**/*.md", "bundles/*/docs/README.md", "plugins/*/README.md")
BLOCK = re.compile(r"(?ms)^(?:<!-- (not run: |run by )([^>]+?) -->\n+)?( *)```(\w*)\n(.*?)^\3```$")
SMALL = {
    r"^max_epochs: \d+": "max_epochs: 1",
    r"^image_size: .*": "image_size: [32, 32]",
    r"^resamples: \d+": "resamples: 20",
    r"^phantom: {": "phantom: {images: 60, ",
}
FOLDERS = ("FOLDER", "NIH", "HPA", "Dataset_BUSI_with_GT")
"""What pages call the reader's own folders."""


class Block(NamedTuple):
    page: str
    line: int
    language: str
    text: str
    mark: str
    reason: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> Iterator[Block]:
    """Yield the blocks of all pages; those of the model cards once, not again in the reference."""
    pages = {path for pattern in PATTERNS for path in ROOT.glob(pattern)}
    for path in sorted(pages - set(ROOT.glob("docs/reference/bundles/*"))):
        text = path.read_text(encoding="utf-8")
        for found in BLOCK.finditer(text):
            mark, reason, indent, language, body = found.groups(default="")
            line = text.count("\n", 0, found.end() - len(body)) + 1
            body = re.sub(f"(?m)^{indent}", "", body)
            yield Block(str(path.relative_to(ROOT)), line, language, body, mark.strip(": "), reason)


BLOCKS = list(blocks())
RUN = [b for b in BLOCKS if b.language in ("sh", "python") and not b.mark]
NOT_RUN = [b for b in BLOCKS if b.mark == "not run"]


def test_every_fence_is_a_block_of_a_known_language():
    fences = sum(len(re.findall(r"(?m)^ *```", (ROOT / page).read_text())) for page in {b.page for b in BLOCKS})
    assert fences == 2 * len(BLOCKS) > 150
    assert {b.name for b in BLOCKS if b.language not in ("sh", "python", "yaml", "toml", "text")} == set()


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "toml"], ids=lambda b: b.name)
def test_toml_says_something(block):
    assert tomllib.loads(block.text)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "yaml"], ids=lambda b: b.name)
def test_yaml_names_parts_and_options_that_exist(block):
    for item in _items(yaml.safe_load(block.text)):
        target = item["_target_"]
        located = pydoc.locate(ConfigComponent(item).resolve_module_name())
        assert callable(located), f"{target} is not there"
        options = set(item) - {"_target_", "_disabled_", "_mode_", "_requires_", "_desc_"}
        known = _known(located) | {"…"}
        kind = target.partition(".")[2]
        if kind in HOOKS and ("component" in item or "…" not in item):
            known |= _known(registry().find(kind, item["component"]).component.load())
        if isinstance(item.get("fallback_options"), dict):
            assert set(item["fallback_options"]) <= _known(registry().find(kind, item["fallback"]).component.load())
        assert None in known or options <= known, f"{target}: {options - known}"


def _items(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every dictionary with a ``_target_``, at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get("_target_"), str) and not value["_target_"].startswith(("@", "$")):
            yield value
        value = list(value.values())
    for inner in value if isinstance(value, list) else []:
        yield from _items(inner)


def _known(target: Any) -> set[str | None]:
    """Return the names of a callable's arguments; None among them where it takes any, ours aside."""
    found = inspect.signature(target).parameters.values()
    ours = target in [getattr(medkit, kind, None) for kind in HOOKS]
    return {None if p.kind is p.VAR_KEYWORD else p.name for p in found if not (ours and p.kind is p.VAR_KEYWORD)}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder like a clone, with chest_gradcam's sizes made small, and with what a reader is supposed to have."""
    for name in ("plugins", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    for bundle in (ROOT / "bundles").iterdir():
        (tmp_path / "bundles").mkdir(exist_ok=True)
        (tmp_path / "bundles" / bundle.name).symlink_to(bundle)
    small = tmp_path / "bundles" / "chest_gradcam"
    small.unlink()
    for file in [p for p in (ROOT / "bundles" / "chest_gradcam").rglob("*") if p.is_file()]:
        copy = small / file.relative_to(ROOT / "bundles" / "chest_gradcam")
        if "models" in copy.parts:
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text(encoding="utf-8")
        for large, less in SMALL.items() if file.suffix == ".yaml" else ():
            text = re.sub(f"(?m){large}", less, text)
        copy.write_text(text, encoding="utf-8")
    for name in FOLDERS:
        (tmp_path / name).mkdir()
    medkit.dataset("phantom", section="all", dataset_dir=str(tmp_path / "FOLDER"), images=60, quiet=True)
    (tmp_path / "DATASET_DIR").symlink_to(tmp_path / "FOLDER")
    (tmp_path / "SOURCE").symlink_to(tmp_path / "FOLDER" / "inbox")
    network = {"in_channels": 1, "out_channels": 8, "stride": 16, "blocks": (3, 6, 6)}
    network |= {"growth_rate": 16, "init_features": 24}
    torch.save(medkit.network("densenet121", **network).state_dict(), tmp_path / "FILE")
    return tmp_path


def run(steps: list[list[str]], workspace: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, str(Path(__file__).parent / "run_blocks.py")]
    done = subprocess.run(command, cwd=workspace, env=environment, input=json.dumps(steps), text=True,
                          capture_output=True, check=False)  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-1000:]}\n{done.stderr[-3000:]}"


def steps_of(block: Block) -> Iterator[list[str]]:
    """Yield what a block does; to activate the environment is nothing, since it is already active."""
    if block.language == "python":
        yield [block.page, "exec", block.text]
        return
    for line in block.text.replace("\\\n", "").splitlines():
        words = shlex.split(re.sub(r"(^|\s)#.*", "", line))
        if words and words != [".", ".venv/bin/activate"]:
            yield [block.page, *words]


@pytest.mark.slow
def test_the_blocks_of_all_pages_run_in_order(workspace):
    """In one process and one folder: a page's run is there for the next, as it is for a reader."""
    steps = [step for block in RUN for step in steps_of(block)]
    assert {kind for _, kind, *_ in steps} == {"medkit", "python", "exec"}, "mark a block of other commands as not run"
    for name in {name for _, _, text, *_ in steps for name in re.findall(r'"(\S+\.pth?)"', text)}:
        (workspace / name).touch()
    run(steps, workspace)


@pytest.mark.slow
def test_the_commands_of_blocks_that_are_not_run_are_accepted(workspace):
    """Of each bundle those commands that have the most options; --input needs a trained model and is left out."""
    asked: dict[tuple[str, frozenset[str]], list[str]] = {}
    for step in [step for block in NOT_RUN if block.language == "sh" for step in steps_of(block)]:
        if step[1:3] == ["medkit", "run"] and step[3].startswith("bundles/") and "--input" not in step:
            options = frozenset(word for word in step if word.startswith("--")) | {"--dry-run"}
            asked.setdefault((step[3], options), [*step, "--dry-run"])
    most = [step for (name, options), step in asked.items() if not any(n == name and o > options for n, o in asked)]
    assert len(most) > 10
    (workspace / "vgg19.pth").touch()
    run(most, workspace)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.mark == "run by"], ids=lambda b: b.name)
def test_a_block_that_another_test_runs_is_on_a_page_that_it_reads(block):
    assert f'"{block.page}"' in (ROOT / block.reason).read_text(encoding="utf-8")


@pytest.mark.parametrize("block", NOT_RUN, ids=lambda b: b.name)
def test_a_block_that_is_not_run_says_why(block):
    pytest.skip(f"not run: {block.reason}")
