"""What a bundle would import, call, evaluate, read and write: its audit and its paths, sorted by what they do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from medkit.configuration import walk
from medkit.errors import PluginError, shown
from medkit.hookspecs import HOOKS
from medkit.named_paths import NamedPath
from medkit.registry import Offer, registry
from medkit.trust import Audit


@dataclass(frozen=True, slots=True)
class Effects:
    """Sorted, each once, as written in the configuration; what a part's own code does beyond is the part's affair.

    Attributes:
        imports: modules.
        calls: functions and classes.
        uses: parts of plugins, each with the distribution that offers it and the version.
        evaluates: ``$`` expressions, and options of logging.conf that Python evaluates.
        reads: files and folders, by the places that a run gives them: ``bundle_root``, ``output_dir``, ``model_dir``;
            ``dataset_dir`` is the user's.
        writes: the same. `medkit run` holds a bundle that is not trusted to ``output_dir``.
    """

    imports: tuple[str, ...]
    calls: tuple[str, ...]
    uses: tuple[str, ...]
    evaluates: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]

    def as_text(self) -> str:
        """Return a paragraph for each."""
        parts = ((f"it {name}:", values) for name, values in asdict(self).items())
        return "\n".join(
            line for title, values in parts for line in (title, *(f"  {v}" for v in values or ("nothing",)))
        )

    def as_json(self) -> dict[str, list[str]]:
        """Return it with a list for each."""
        return {name: list(values) for name, values in asdict(self).items()}


def effects(
    audit: Audit, configs: Collection[Mapping[str, Any]], files: Iterable[str], paths: Collection[NamedPath]
) -> Effects:
    """Return what a bundle would do.

    Args:
        audit: of all its configurations.
        configs: those, for the parts that they name.
        files: names of its config files.
        paths: from `medkit.named_paths`.
    """
    imports, calls, uses, evaluates = set[str](), set[str](), set[str](), set[str]()
    for finding in audit.findings:
        value = shown(finding.value, 200)
        if finding.what == "target":
            calls.add(value)
            imports.add(value.rpartition(".")[0] or "monai")
        elif finding.what == "expression" and value.startswith(("$import ", "$from ")):
            imports.add(value.removeprefix("$"))
        elif finding.what == "expression":
            evaluates.add(value)
        elif finding.what == "logging":
            evaluates.add(f"{shown(finding.path)}: {value}")
        elif finding.what == "code":
            imports.add(f"bundle_root/{shown(finding.path)}")
    for offer in offers(configs):
        module, _, name = offer.component.target.partition(":")
        imports.add(module)
        calls.add(f"{module}.{name}")
        uses.add(f"{offer.kind} {offer.component.name}: {offer.distribution} {offer.version}")
    untrusted = len(audit.untrusted)
    rest = [f"whatever the {untrusted} things that are not trusted do"] if untrusted else []
    reads = {f"bundle_root/configs/{name}" for name in files} | {shown(p.path, 200) for p in paths if p.read}
    reads |= {"dataset_dir" for config in configs if "dataset_dir" in config}
    writes = {shown(p.path, 200) for p in paths if p.written}
    return Effects(
        imports=tuple(sorted(imports)),
        calls=tuple(sorted(calls)),
        uses=tuple(sorted(uses)),
        evaluates=tuple(sorted(evaluates)),
        reads=(*sorted(reads), *rest),
        writes=(*sorted(writes), *rest),
    )


def offers(configs: Iterable[Mapping[str, Any]]) -> list[Offer]:
    """Return each installed part that configurations name, fallbacks and the networks inside networks included."""
    found: dict[Offer, None] = {}
    for config in configs:
        for kind, name in _named(config):
            try:
                found[registry().find(kind, name)] = None
            except PluginError:  # the audit says so
                continue
    return sorted(found, key=lambda offer: offer.component.name)


def _named(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for *_, part in walk(config):
        kind = str(part.get("_target_")).removeprefix("medkit.") if isinstance(part, Mapping) else None
        if kind in HOOKS:
            inner = part.get("network")
            names = (
                part.get("component"),
                part.get("fallback"),
                inner.get("component") if isinstance(inner, dict) else 0,
            )
            yield from ((kind, name) for name in names if isinstance(name, str))
