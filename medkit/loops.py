"""Repeated stages: one stage for each combination of the values that its ``for`` lists.

```yaml
- name: segment
  title: "Segment, fold {fold}, {loss}"
  config: [train.yaml, "{loss}.yaml"]
  for: {fold: [0, 1, 2], loss: [bce, dice]}         # the first varies slowest: segment[fold=0,loss=bce], …
  set: {part: "segment/fold{fold}/{loss}"}          # more of the configuration, made of the loop's values
  needs: ["classify/fold{fold}/predictions.csv"]
  makes: ["{part}/models/model.pt"]
- name: table
  title: Compare the losses
  config: [table.yaml]
  needs: ["segment/fold{fold}/{loss}/models/model.pt"]   # of every earlier repetition that has a fold and a loss
```

What ``for`` and ``set`` name are top-level keys of the stage's configuration; each repetition overrides them. A loop
that chooses a config file, as ``loss`` does here, need not be one: the file says what differs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from medkit.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from medkit.bundle import Stage

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def expand(stages: Iterable[Stage], overrides: Mapping[str, Any]) -> tuple[Stage, ...]:
    """Return each repetition of each stage, in order, with its placeholders filled.

    Args:
        stages: as the bundle has them.
        overrides: the user's; one that names a loop replaces its values, in every stage: ``{"fold": [0, 2]}`` or 0.

    Raises:
        ConfigError: a value that no file name can hold, an unknown placeholder, two stages that make the same file.
    """
    repetitions: list[Stage] = []
    for stage in stages:
        loops = {name: _values(stage, name, overrides.get(name, values)) for name, values in stage.loops.items()}
        combinations = [dict(zip(loops, values)) for values in itertools.product(*loops.values())]
        repetitions += [_repetition(stage, loop, repetitions) for loop in combinations]
    makers: dict[str, Stage] = {}
    for stage in repetitions:
        for name in stage.makes:
            if (other := makers.setdefault(name, stage)) is not stage:
                raise ConfigError(
                    f'the stages "{other.name}" and "{stage.name}" both make {name}: '
                    "give each a file of its own, a repetition by {placeholders} in its path"
                )
    return tuple(repetitions)


def require_keys(stage: Stage, config: Mapping[str, Any]) -> None:
    """Check that a repetition sets top-level keys which its stage's merged configuration has.

    Raises:
        ConfigError: with the nearest key.
    """
    for key, value in stage.set.items():
        if key not in config:
            raise ConfigError(
                f'stage "{stage.base}" sets "{key}", which {", ".join(stage.config)} has not as a top-level key.'
                f"{did_you_mean(key, config)} Add it there with a default: {key}: {value}"
            )


def settings(stage: Stage, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a repetition overrides in its merged configuration."""
    return {**{name: value for name, (value,) in stage.loops.items() if name in config}, **stage.set}


def require_free(stages: Iterable[Stage], overrides: Mapping[str, Any]) -> None:
    """Check that no override asks for what ``set`` decides.

    Raises:
        ConfigError: with what to override instead.
    """
    for stage in stages:
        for key in stage.set.keys() & overrides.keys() - stage.loops.keys():
            raise ConfigError(
                f'override "--{key}": stage "{stage.name}" sets it to {stage.set[key]!r} itself; '
                f"what can be overridden are its loops ({', '.join(stage.loops) or 'it has none'})"
            )


def _values(stage: Stage, name: str, given: Any) -> list[Any]:
    """Return the values of one loop, each once; a single value counts as a list of one."""
    values = list(given) if isinstance(given, list | tuple) else [given]
    for value in values:
        if not isinstance(value, str | int | float) or not re.fullmatch(r"[\w.+-]+", str(value)):
            raise ConfigError(f'stage "{stage.name}" repeats over {name}: {value!r} is not a number or a plain word')
    if not values:
        raise ConfigError(f'stage "{stage.name}" repeats over {name}, which has no values: give at least one')
    return list({str(value): value for value in values}.values())


def _repetition(stage: Stage, loop: dict[str, Any], before: list[Stage]) -> Stage:
    settings = loop | {key: _filled(stage, value, loop) for key, value in stage.set.items()}
    chooses_file = {name for config in stage.config for name in _PLACEHOLDER.findall(config)}
    label = ",".join(f"{name}={value}" for name, value in loop.items())
    return replace(
        stage,
        name=f"{stage.name}[{label}]" if loop else stage.name,
        title=_filled(stage, stage.title, settings),
        config=tuple(_filled(stage, name, settings) for name in stage.config),
        needs=tuple(dict.fromkeys(_needs(stage, loop, settings, before))),
        makes=tuple(_filled(stage, name, settings) for name in stage.makes),
        loops={name: (value,) for name, value in loop.items()},
        set={key: value for key, value in settings.items() if key not in chooses_file},
    )


def _needs(stage: Stage, loop: dict[str, Any], settings: dict[str, Any], before: list[Stage]) -> Iterator[str]:
    """Yield the files that are needed: what the stage itself does not name, earlier repetitions of like values do."""
    known = ({**other.set, **{name: value for name, (value,) in other.loops.items()}} for other in before)
    alike = [other for other in known if all(other.get(name, value) == value for name, value in loop.items())]
    for need in stage.needs:
        names = set(_PLACEHOLDER.findall(need))
        having = [{**other, **settings} for other in [{}, *alike] if names <= settings.keys() | other.keys()]
        yield from (_filled(stage, need, filling) for filling in having or [settings])


def _filled(stage: Stage, text: Any, known: Mapping[str, Any]) -> Any:
    """Return ``text`` with its placeholders filled; a value keeps its type where it is all of the text."""
    if not isinstance(text, str):
        return text
    for name in _PLACEHOLDER.findall(text):
        if name not in known:
            raise ConfigError(
                f'stage "{stage.name}": nothing fills "{{{name}}}" in "{text}".{did_you_mean(name, known)} '
                f"Placeholders: {', '.join(known) or 'none'}."
            )
    whole = _PLACEHOLDER.fullmatch(text)
    return known[whole[1]] if whole else _PLACEHOLDER.sub(lambda match: str(known[match[1]]), text)
