"""The errors that medkit raises for what a user can mend.

Every message has one shape: what was asked, what was found, what to do. The command line prints it as one line and
exits with code 2; a traceback is shown for bugs only (`--debug` shows it always).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MedkitError(Exception):
    """Something a user can mend: the base of all errors below."""


class PluginError(MedkitError):
    """A plugin is missing, broken, or in conflict with another one."""


class ConfigError(MedkitError):
    """A bundle, a configuration file or a command-line option is wrong."""


class DataError(MedkitError):
    """A folder, a table or a file of the data set is missing or wrong."""


class CheckpointError(MedkitError):
    """A checkpoint, or what was fitted for one, does not belong to this network."""


class TrustError(MedkitError):
    """A bundle would execute something that nobody has declared."""


class TrainingError(MedkitError):
    """Training cannot go on, for instance because the loss is not a number."""


class NotAssessed(Exception):
    """An image that the model is not for; the message is the reason, for instance ``lateral view``.

    Not an error: the image is listed as "not assessed" with its reason and the run goes on.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``' Did you mean "x"?'`` for the nearest known name, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f' Did you mean "{near[0]}"?' if near else ""


def shown(value: object, longest: int = 80) -> str:
    """Return one line that no terminal obeys: what cannot be printed is escaped, what is long is cut."""
    text = str(value)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def root_cause(error: BaseException) -> BaseException:
    """Return the medkit error (or `NotAssessed`) inside a chain of wrappers, else the innermost cause.

    MONAI wraps whatever a component raises in ``RuntimeError: Failed to instantiate component …``.
    """
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    for link in chain:
        if isinstance(link, MedkitError | NotAssessed):
            return link
    return chain[-1]
