"""Pages of the reference that the core and the plugins say: hooks, commands, parts."""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Iterator

import click
import pieces

from medkit import contracts, hookspecs
from medkit.cli import cli
from medkit.registry import Offer, registry


def hooks() -> str:
    """Return the page of hooks: what a plugin declares, and what a part of each kind must do."""
    lines = ["# Hooks and contracts", pieces.MADE.format("medkit/hookspecs.py and medkit/contracts.py")]
    lines += [pieces.markdown(hookspecs.__doc__ or "")]
    lines += ["## Component", pieces.markdown(hookspecs.Component.__doc__ or "")]
    for kind, hook in hookspecs.HOOKS.items():
        lines += [f"## {hook}", pieces.markdown(inspect.getdoc(getattr(hookspecs, hook)) or "")]
        contract = getattr(contracts, kind.title(), None)
        for protocol in [contract, contracts.Fittable] if kind == "postprocessor" else [contract]:
            lines += _protocol(protocol) if protocol else []
    return pieces.page([*lines, "## Keys of a sample", pieces.markdown(inspect.getdoc(contracts) or ""), _keys()])


def _protocol(protocol: type) -> list[str]:
    methods = []
    for name, method in vars(protocol).items():
        if inspect.isfunction(method) and name != "__init__" and method.__module__ == contracts.__name__:
            called = str(inspect.signature(method)).replace("'", "").replace("(self, ", "(").replace("(self)", "()")
            methods.append(f"- `{name}{called}`" + (f": {pieces.line(method.__doc__)}" if method.__doc__ else ""))
    said = pieces.markdown(inspect.getdoc(protocol) or "")
    return [f"**`medkit.contracts.{protocol.__name__}`.** {said}", "\n".join(methods)]


def _keys() -> str:
    """Return each key of a sample with the text below it in the source, as a table."""
    body = ast.parse(inspect.getsource(contracts)).body
    rows = [("Key", "Value")]
    for statement, text in itertools.pairwise(body):
        if isinstance(statement, ast.Assign) and isinstance(text, ast.Expr):
            rows.append((f"`{ast.literal_eval(statement.value)}`", pieces.line(ast.literal_eval(text.value))))
    return pieces.table(rows)


def commands() -> str:
    """Return the page of commands: the --help of each, as the terminal shows it."""
    offered = {offer.component.name: offer.component.load() for offer in registry().of_kind("command")}
    lines = ["# Commands", pieces.MADE.format("the commands themselves"), *_help("medkit", cli)]
    for name, command in {**cli.commands, **offered}.items():
        lines += _help(f"medkit {name}", command)
    return pieces.page(lines)


def _help(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
    yield f"## {name}"
    yield f"```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group) and command is not cli:
        for inner, its in command.commands.items():
            yield from _help(f"{name} {inner}", its)


def kinds() -> list[str]:
    """Return the kinds that have a page of their own."""
    return [kind for kind in hookspecs.HOOKS if kind != "command"]


def plural(kind: str) -> str:
    """Return the name of a kind's page."""
    return hookspecs.HOOKS[kind].removeprefix("medkit_")


def index() -> str:
    """Return the page that lists every part with its kind, in one table."""
    rows = [("Part", "Kind", "What it does", "Plugin")]
    for kind in kinds():
        for offer in registry().of_kind(kind):
            link = f"[{offer.component.name}]({plural(kind)}.md#{offer.component.name})"
            rows.append((link, kind, offer.component.summary, offer.distribution))
    return pieces.page(["# All parts", pieces.MADE.format("what the plugins declare"), pieces.table(rows)])


def parts(kind: str) -> str:
    """Return the page of one kind: each part's summary, paper, options with defaults, errors and example."""
    lines = [f"# {plural(kind).title()}", pieces.MADE.format("the docstrings of the parts")]
    lines.append(f"What every {kind} accepts and returns: [{hookspecs.HOOKS[kind]}](hooks.md#{hookspecs.HOOKS[kind]}).")
    for offer in registry().of_kind(kind):
        lines += [f"## {offer.component.name}", *_part(offer)]
    return pieces.page(lines)


def _part(offer: Offer) -> Iterator[str]:
    part = offer.component
    target = part.load()
    folder = f"plugins/{offer.distribution.removeprefix('medkit-').replace('-', '_')}"
    yield f"{part.summary[:1].upper()}{part.summary[1:]}."
    yield f"From `{offer.distribution}` (`{folder}`), `{part.target}`." + (
        f" Paper: {part.reference}." if part.reference else ""
    )
    text, sections = pieces.divided(inspect.getdoc(target) or "")
    yield pieces.markdown(text)
    meanings = dict(pieces.arguments(sections.pop("Args", "")))
    rows = [("Option", "Default", "Meaning")]
    for option in inspect.signature(target).parameters.values():
        default = "" if option.default is option.empty else f"`{option.default!r}`"
        meaning = next((m for names, m in meanings.items() if option.name in names.split(", ")), "")
        rows.append((f"`{option.name}`", default, meaning))
    yield pieces.table(rows) if len(rows) > 1 else "No options."
    yield from pieces.titled(sections)
