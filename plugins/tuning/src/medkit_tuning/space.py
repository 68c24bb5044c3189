"""What ``configs/tune.yaml`` says: which keys are searched, within which limits, and what is measured."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from medkit.bundle import Bundle
from medkit.errors import ConfigError, did_you_mean
from medkit.overrides import word
from medkit_tuning.objective import Objective

Value = float | int | str


@dataclass(frozen=True, slots=True)
class Space:
    """A bundle's search.

    Attributes:
        stages: what a trial runs.
        objective: what is measured of it.
        parameters: key of the configuration → limits; the choices of a list are kept as a command line's words.
    """

    stages: tuple[str, ...]
    objective: Objective
    parameters: dict[str, BaseDistribution]

    @classmethod
    def read(cls, bundle: Bundle) -> Space:
        """Read ``configs/tune.yaml``.

        Raises:
            ConfigError: there is none, or it is wrong.
        """
        file = bundle.root / "configs" / "tune.yaml"
        if not file.is_file():
            raise ConfigError(f"bundle {bundle.name} has no configs/tune.yaml: write the parameters to search into one")
        try:
            given = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"{file}: {' '.join(str(error).split())}") from error
        _require_keys(given, {"objective", "parameters"}, {"stages"}, f"{file}")
        stages, parameters, objective = given.get("stages"), given["parameters"], given["objective"]
        if stages is None:
            stages = [bundle.stages[0].base]
        if not isinstance(stages, list) or not stages:
            raise ConfigError(f"{file}: stages is a list of names, found {stages!r}")
        _require_keys(objective, {"column", "direction"}, {"file"}, f"{file}: objective")
        if objective["direction"] not in ("maximize", "minimize"):
            raise ConfigError(f"{file}: direction is maximize or minimize, found {objective['direction']!r}")
        if not isinstance(parameters, dict) or not parameters:
            raise ConfigError(f"{file}: parameters is a mapping of keys to limits, found {parameters!r}")
        limits = {str(key): _limits(limits, f'{file}: parameter "{key}"') for key, limits in parameters.items()}
        return cls(tuple(map(str, stages)), Objective(**objective), limits)

    def defaults(self, configs: Mapping[str, Mapping[str, Any]]) -> dict[str, Value]:
        """Return the value that the bundle itself has for each parameter.

        Args:
            configs: stage → merged configuration, in which each key has its place.

        Raises:
            ConfigError: it has none, or one that lies outside the limits.
        """
        return {key: _default(key, limits, configs) for key, limits in self.parameters.items()}


def words(values: Mapping[str, Value]) -> list[str]:
    """Return ``["--optimizer#lr", "0.01", …]``, as ``medkit run`` takes them."""
    pairs = ((key, value if isinstance(value, str) else word(value)) for key, value in values.items())
    return [part for key, value in pairs for part in (f"--{key}", value)]


def _require_keys(given: Any, required: Collection[str], optional: Collection[str], what: str) -> None:
    known = [*required, *optional]
    if not isinstance(given, dict):
        raise ConfigError(f"{what} is a mapping of {', '.join(sorted(known))}, found {given!r}")
    for key in given:
        if key not in known:
            raise ConfigError(
                f'{what} has an unknown key "{key}".{did_you_mean(str(key), known)} Keys: {sorted(known)}'
            )
    if missing := sorted(set(required) - set(given)):
        raise ConfigError(f"{what} lacks {', '.join(missing)}")


def _limits(given: Any, what: str) -> BaseDistribution:
    """Return Optuna's distribution; two whole numbers as limits make a whole parameter."""
    if isinstance(given, dict) and "choices" in given:
        _require_keys(given, {"choices"}, (), what)
        choices = given["choices"]
        if not isinstance(choices, list) or len({word(choice) for choice in choices}) < max(2, len(choices)):
            raise ConfigError(f"{what}: choices is a list of at least two different values, found {choices!r}")
        return CategoricalDistribution([word(choice) for choice in choices])
    _require_keys(given, {"low", "high"}, {"log"}, what)
    low, high, log = _number(given["low"], what), _number(given["high"], what), given.get("log", False)
    if low >= high:
        raise ConfigError(f"{what}: low {low} is not below high {high}")
    kind = IntDistribution if isinstance(low, int) and isinstance(high, int) else FloatDistribution
    try:
        with warnings.catch_warnings(action="error"):
            return kind(low, high, log=bool(log))
    except (ValueError, UserWarning) as error:
        raise ConfigError(f"{what}: {error}") from error


def _number(given: Any, what: str) -> float | int:
    """Return a number; YAML takes ``1e-5`` for a text."""
    try:
        number = float(given)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{what}: a limit is a number, found {given!r}") from error
    if isinstance(given, bool) or not abs(number) < float("inf"):
        raise ConfigError(f"{what}: a limit is a finite number, found {given!r}")
    return given if isinstance(given, int) else number


def _default(key: str, limits: BaseDistribution, configs: Mapping[str, Mapping[str, Any]]) -> Value:
    value = next((found for config in configs.values() if (found := _look_up(config, key)) is not None), None)
    if isinstance(limits, CategoricalDistribution):
        if word(value) not in limits.choices:
            raise ConfigError(f"parameter {key}: the bundle's own {value!r} is none of its choices: add it")
        return word(value)
    if isinstance(value, str) or value is None or isinstance(value, bool):
        raise ConfigError(f"parameter {key}: the bundle has {value!r} there, not a number to start from: write one")
    if not limits.low <= value <= limits.high or (isinstance(limits, IntDistribution) and value != int(value)):
        raise ConfigError(f"parameter {key}: the bundle's own {value} is not within {limits.low}…{limits.high}")
    return value


def _look_up(config: Any, key: str) -> Any:
    for step in key.split("#"):
        if isinstance(config, list) and step.isdigit() and int(step) < len(config):
            config = config[int(step)]
        else:
            config = config.get(step) if isinstance(config, Mapping) else None
    return config
