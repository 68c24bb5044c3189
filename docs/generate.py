"""Writes docs/reference from the code (hooks, commands, parts, bundles), and a run's scores as numbers of images.

`python docs/generate.py` writes the pages; a test regenerates them and compares.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import os
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import frequencies
import yaml

from medkit import contracts, hookspecs
from medkit.bundle import Bundle
from medkit.cli import cli
from medkit.registry import Offer, registry

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
EXAMPLE = "clinicians/worked_example.md"
_MADE = "<!-- made from {}: change it there, then run python docs/generate.py -->\n"
_LONGEST_VALUE = 70


def pages() -> dict[str, str]:
    """Return every page by its path below docs; imports every part."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that parts import
        made = {"hooks": hooks(), "commands": commands(), "parts": index()}
        made |= {_plural(kind): parts(kind) for kind in _kinds()}
    made |= {f"bundles/{path.name}": bundle(path) for path in sorted((ROOT / "bundles").iterdir())}
    return {f"reference/{name}.md": page for name, page in made.items()} | {EXAMPLE: worked_example()}


def worked_example() -> str:
    """Return the page that says in numbers of images what a run's metrics.json says."""
    metrics = json.loads((DOCS / "clinicians" / "metrics.json").read_text(encoding="utf-8"))
    return frequencies.page(metrics, _MADE.format("docs/clinicians/metrics.json"))


# -- hooks and contracts -----------------------------------------------------------------------------------------------
def hooks() -> str:
    """Return the page of hooks: what a plugin declares, and what a part of each kind must do."""
    lines = ["# Hooks and contracts", _MADE.format("medkit/hookspecs.py and medkit/contracts.py")]
    lines += [_markdown(hookspecs.__doc__ or "")]
    lines += ["## Component", _markdown(hookspecs.Component.__doc__ or "")]
    for kind, hook in hookspecs.HOOKS.items():
        lines += [f"## {hook}", _markdown(inspect.getdoc(getattr(hookspecs, hook)) or "")]
        contract = getattr(contracts, kind.title(), None)
        for protocol in [contract, contracts.Fittable] if kind == "postprocessor" else [contract]:
            lines += _protocol(protocol) if protocol else []
    return _page([*lines, "## Keys of a sample", _markdown(inspect.getdoc(contracts) or ""), *_keys()])


def _protocol(protocol: type) -> list[str]:
    methods = []
    for name, method in vars(protocol).items():
        if inspect.isfunction(method) and name != "__init__" and method.__module__ == contracts.__name__:
            called = str(inspect.signature(method)).replace("'", "").replace("(self, ", "(").replace("(self)", "()")
            methods.append(f"- `{name}{called}`" + (f": {_line(method.__doc__)}" if method.__doc__ else ""))
    said = _markdown(inspect.getdoc(protocol) or "")
    return [f"**`medkit.contracts.{protocol.__name__}`.** {said}", "\n".join(methods)]


def _keys() -> list[str]:
    """Return each key with the text below it in the source, under the headings that stand there as comments."""
    body = ast.parse(inspect.getsource(contracts)).body
    rows = [("Key", "Value")]
    for statement, text in itertools.pairwise(body):
        if isinstance(statement, ast.Assign) and isinstance(text, ast.Expr):
            rows.append((f"`{ast.literal_eval(statement.value)}`", _line(ast.literal_eval(text.value))))
    return [_table(rows)]


# -- commands ----------------------------------------------------------------------------------------------------------
def commands() -> str:
    """Return the page of commands: the --help of each, as the terminal shows it."""
    offered = {offer.component.name: offer.component.load() for offer in registry().of_kind("command")}
    lines = ["# Commands", _MADE.format("the commands themselves"), *_help("medkit", cli)]
    for name, command in {**cli.commands, **offered}.items():
        lines += _help(f"medkit {name}", command)
    return _page(lines)


def _help(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
    yield f"## {name}"
    yield f"```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group) and command is not cli:
        for inner, its in command.commands.items():
            yield from _help(f"{name} {inner}", its)


# -- parts -------------------------------------------------------------------------------------------------------------
def _kinds() -> list[str]:
    return [kind for kind in hookspecs.HOOKS if kind != "command"]


def _plural(kind: str) -> str:
    return hookspecs.HOOKS[kind].removeprefix("medkit_")


def index() -> str:
    """Return the page that lists every part with its kind, in one table."""
    rows = [("Part", "Kind", "What it does", "Plugin")]
    for kind in _kinds():
        for offer in registry().of_kind(kind):
            link = f"[{offer.component.name}]({_plural(kind)}.md#{offer.component.name})"
            rows.append((link, kind, offer.component.summary, offer.distribution))
    return _page(["# All parts", _MADE.format("what the plugins declare"), _table(rows)])


def parts(kind: str) -> str:
    """Return the page of one kind: each part's summary, paper, options with defaults, errors and example."""
    lines = [f"# {_plural(kind).title()}", _MADE.format("the docstrings of the parts")]
    lines.append(f"What every {kind} accepts and returns: [{hookspecs.HOOKS[kind]}](hooks.md#{hookspecs.HOOKS[kind]}).")
    for offer in registry().of_kind(kind):
        lines += [f"## {offer.component.name}", *_part(offer)]
    return _page(lines)


def _part(offer: Offer) -> Iterator[str]:
    part = offer.component
    target = part.load()
    folder = f"plugins/{offer.distribution.removeprefix('medkit-').replace('-', '_')}"
    yield f"{part.summary[:1].upper()}{part.summary[1:]}."
    yield f"From `{offer.distribution}` (`{folder}`), `{part.target}`." + (
        f" Paper: {part.reference}." if part.reference else ""
    )
    text, sections = _sections(inspect.getdoc(target) or "")
    yield _markdown(text)
    meanings = dict(_arguments(sections.pop("Args", "")))
    rows = [("Option", "Default", "Meaning")]
    for option in inspect.signature(target).parameters.values():
        default = "" if option.default is option.empty else f"`{option.default!r}`"
        meaning = next((m for names, m in meanings.items() if option.name in names.split(", ")), "")
        rows.append((f"`{option.name}`", default, meaning))
    yield _table(rows) if len(rows) > 1 else "No options."
    yield from _titled(sections)


def _sections(docstring: str) -> tuple[str, dict[str, str]]:
    """Divide a Google-style docstring into its text and its sections, which are indented."""
    section = re.compile(r"(?m)^(Args|Raises|Example|Reference|Returns|Attributes):\n((?: +.*(?:\n|$)|\n(?= ))+)")
    return section.sub("", docstring), {title: textwrap.dedent(body) for title, body in section.findall(docstring)}


def _arguments(section: str) -> Iterator[tuple[str, str]]:
    for entry in re.split(r"(?m)^(?=\S)", section):
        names, _, meaning = entry.partition(": ")
        if meaning:
            yield names, _line(meaning)


# -- bundles -----------------------------------------------------------------------------------------------------------
def bundle(path: Path) -> str:
    """Return a bundle's page: its model card, the facts of its metadata, its stages, its options."""
    read = Bundle.read(path)
    card = _links((path / "docs" / "README.md").read_text(encoding="utf-8"), path / "docs")
    title, _, card = card.partition("\n")
    lines = [title, _MADE.format(f"bundles/{path.name}"), card.strip(), "## Facts", _facts(read.metadata)]
    rows = [("Stage", "What it does", "Configuration", "Needs", "Makes", "Repeated for")]
    for stage in read.written:
        loops = "; ".join(f"{name} {_line(str(values))}" for name, values in stage.loops.items())
        codes = [", ".join(f"`{name}`" for name in names) for names in (stage.config, stage.needs, stage.makes)]
        rows.append((f"`{stage.name}`", stage.title, *codes, loops))
    used = dict.fromkeys(name for stage in read.written for name in stage.config if "{" not in name)
    lines += [
        "## Every stage",
        _table(rows),
        "## Every option",
        "Written `--option value`; a part of a part `--a#b value`.",
    ]
    return _page([*lines, _table([("Option", "Default", "Meaning", "In"), *_options(path / "configs", used)])])


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
    return _table([(name, _line(text)) for name, text in rows])


def _options(configs: Path, names: Iterable[str]) -> Iterator[tuple[str, str, str, str]]:
    """Yield every plain top-level value and every value with a comment, once, with the files that hold it."""
    found: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for name in names:
        text = (configs / name).read_text(encoding="utf-8")
        for option, value, comment in _commented(yaml.compose(text), text.splitlines()):
            found.setdefault((f"`{option}`", f"`{value}`"), (comment, []))[1].append(name.removesuffix(".yaml"))
    yield from ((*key, comment, ", ".join(files)) for key, (comment, files) in found.items())


def _commented(node: yaml.Node, lines: list[str], above: str = "") -> Iterator[tuple[str, str, str]]:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        name = f"{above}{key.value}"
        comment, row = [], key.start_mark.line - 1
        while row >= 0 and (line := lines[row].strip()).startswith("#") and not line.startswith("# --"):
            comment.insert(0, line.lstrip("# "))
            row -= 1
        first = not lines[key.start_mark.line][: key.start_mark.column].strip()
        shown = _value(value, lines)
        plain = name.isidentifier() and shown[:2] not in ("…", '"$', '"@') and not shown.startswith("{")
        if ((comment and first) or plain) and name != "bundle_root":
            yield name, shown, _line(" ".join(comment if first else []))
        yield from _commented(value, lines, f"{name}#")


def _value(node: yaml.Node, lines: list[str]) -> str:
    if not isinstance(node, yaml.ScalarNode) and not node.flow_style:
        return "…"
    if node.start_mark.line != node.end_mark.line:
        return "…"
    text = lines[node.start_mark.line][node.start_mark.column : node.end_mark.column]
    return text if len(text) <= _LONGEST_VALUE else "…"


# -- Markdown ----------------------------------------------------------------------------------------------------------
def _links(text: str, folder: Path) -> str:
    """Make links of a model card into links of its page; what is on no page becomes plain text."""

    def moved(match: re.Match[str]) -> str:
        words, target = match.groups()
        path = Path(os.path.normpath(folder / target)).relative_to(ROOT)
        if path.match("bundles/*/docs/README.md"):
            return f"[{words}]({path.parts[1]}.md)"
        return f"[{words}](../../{path.relative_to('docs')})" if path.parts[0] == "docs" else f"{words} (`{path}`)"

    return re.sub(r"(?<!!)\[([^]]*)\]\((?!https?:|#)([^)]+)\)", moved, text)


def _markdown(docstring: str) -> str:
    text, sections = _sections(inspect.cleandoc(docstring))
    return "\n\n".join([text.strip(), *_titled(sections)])


def _titled(sections: dict[str, str]) -> Iterator[str]:
    for title, body in sections.items():
        entries = list(_arguments(body)) if title in ("Args", "Attributes", "Raises") else []
        yield f"**{title}**\n\n" + ("\n".join(f"- `{names}`: {meaning}" for names, meaning in entries) or body)


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _table(rows: list[tuple[str, ...]]) -> str:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    cells.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _page(blocks: Iterable[str]) -> str:
    return "\n\n".join(block.strip() for block in blocks if block.strip()) + "\n"


def main() -> None:
    """Write the pages, and remove those that nothing stands behind any more."""
    made = pages()
    for old in set(DOCS.glob("reference/**/*.md")) - {DOCS / name for name in made}:
        old.unlink()
    for name, text in made.items():
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
