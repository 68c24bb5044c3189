"""The page of a bundle: its model card, metadata, stages, and the options that its configuration explains."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pieces
import yaml

from medkit.bundle import Bundle

ROOT = Path(__file__).resolve().parent.parent
_LONGEST_VALUE = 70


def bundle(path: Path) -> str:
    """Return a bundle's page: its model card, the facts of its metadata, its stages, its options."""
    read = Bundle.read(path)
    card = _links((path / "docs" / "README.md").read_text(encoding="utf-8"), path / "docs")
    title, _, card = card.partition("\n")
    lines = [title, pieces.MADE.format(f"bundles/{path.name}"), card.strip(), "## Facts", _facts(read.metadata)]
    rows = [("Stage", "What it does", "Configuration", "Needs", "Makes", "Repeated for")]
    for stage in read.written:
        loops = "; ".join(f"{name} {pieces.line(str(values))}" for name, values in stage.loops.items())
        codes = [", ".join(f"`{name}`" for name in names) for names in (stage.config, stage.needs, stage.makes)]
        rows.append((f"`{stage.name}`", stage.title, *codes, loops))
    used = dict.fromkeys(name for stage in read.written for name in stage.config if "{" not in name)
    lines += ["## Every stage", pieces.table(rows), "## Every option"]
    lines += ["Written `--option value`; a part of a part `--a#b value`."]
    options = [("Option", "Default", "Meaning", "In"), *_options(path / "configs", used)]
    return pieces.page([*lines, pieces.table(options)])


def _facts(about: dict) -> str:
    data = about["network_data_format"]
    image, pred = data["inputs"]["image"], data["outputs"]["pred"]
    size = " × ".join(map(str, image["spatial_shape"]))
    rows = [("", ""), ("Version", about["version"]), ("Task", about["task"])]
    rows += [("Intended use", about.get("intended_use", "")), ("Data", about.get("data_source", ""))]
    rows += [("Image", f"{image['num_channels']} channel(s), {size} pixels; {about.get('image_classes', '')}")]
    rows += [("Output", f"{about.get('pred_classes', '')}: {', '.join(pred['channel_def'].values())}")]
    rows += [("Papers", "; ".join(about.get("references", [])))]
    rows += [("Needs", ", ".join(f"{name} {version}" for name, version in about["required_packages_version"].items()))]
    return pieces.table([(name, pieces.line(text)) for name, text in rows])


def _options(configs: Path, names: Iterable[str]) -> Iterator[tuple[str, str, str, str]]:
    """Yield every plain top-level value and every value with a comment, once, with the files that hold it."""
    found: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for name in names:
        text = (configs / name).read_text(encoding="utf-8")
        for option, value, comment in _commented(yaml.compose(text), text.splitlines()):
            found.setdefault((f"`{option}`", f"`{value}`"), (comment, []))[1].append(name.removesuffix(".yaml"))
    yield from ((*key, comment, ", ".join(files)) for key, (comment, files) in found.items())


def _commented(node: yaml.Node, lines: list[str], above: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield name, value and comment of each key with a comment above it, and of plain ones at the top without."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        name, row, comment = f"{above}{key.value}", key.start_mark.line, []
        begins_its_line = not lines[row][: key.start_mark.column].strip()
        while begins_its_line and row and (said := lines[row - 1].strip()).startswith("#") and said[:4] != "# --":
            comment.insert(0, said.lstrip("# "))
            row -= 1
        shown = _value(value, lines)
        plain = name.isidentifier() and shown[:2] not in ("…", '"$', '"@') and not shown.startswith("{")
        if (comment or plain) and name != "bundle_root":
            yield name, shown, " ".join(comment)
        yield from _commented(value, lines, f"{name}#")


def _value(node: yaml.Node, lines: list[str]) -> str:
    """Return a value as it is written, or … for one that is long or of several lines."""
    block = not isinstance(node, yaml.ScalarNode) and not node.flow_style
    if block or node.start_mark.line != node.end_mark.line:
        return "…"
    text = lines[node.start_mark.line][node.start_mark.column : node.end_mark.column]
    return text if len(text) <= _LONGEST_VALUE else "…"


def _links(text: str, folder: Path) -> str:
    """Make links of a model card into links of its page; what is on no page becomes plain text."""

    def moved(match: re.Match[str]) -> str:
        words, target = match.groups()
        path = Path(os.path.normpath(folder / target)).relative_to(ROOT)
        if path.match("bundles/*/docs/README.md"):
            return f"[{words}]({path.parts[1]}.md)"
        return f"[{words}](../../{path.relative_to('docs')})" if path.parts[0] == "docs" else f"{words} (`{path}`)"

    return re.sub(r"(?<!!)\[([^]]*)\]\((?!https?:|#)([^)]+)\)", moved, text)
