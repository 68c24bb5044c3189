"""The hashes of a bundle's files, so that a change is named before anything runs.

``configs/medkit.lock`` has the format of sha256sum: ``cd BUNDLE && sha256sum -c configs/medkit.lock`` verifies it too.
Its own digest is the *pin*: who keeps it apart from the bundle can tell that nobody has changed bundle and lock.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from medkit.errors import ConfigError, TrustError, shown
from medkit.files import sha256, whole

LOCK = "configs/medkit.lock"
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


def write(root: Path) -> tuple[int, str]:
    """Write the lock of a bundle; return how many files it lists, and the pin.

    Raises:
        ConfigError: no bundle is there, or one of its files cannot be locked.
    """
    if not (root / "configs").is_dir():
        raise ConfigError(f"{root} has no folder configs: give the folder of a bundle")
    hashes = {}
    for name in _names(root):
        if not _is_own(root / name, root) or "\\" in name or not name.isprintable():
            raise ConfigError(
                f"{shown(name)} is no plain file of {root}, or has an odd name: remove it, then lock again"
            )
        hashes[name] = sha256(root / name)
    with whole(root / LOCK) as temporary:
        temporary.write_text("".join(f"{digest}  {name}\n" for name, digest in hashes.items()), encoding="utf-8")
    return len(hashes), sha256(root / LOCK)


def changes(root: Path) -> list[str]:
    """Return ``configs/train.yaml is changed`` and the like for each file that is not as locked; [] without a lock.

    Raises:
        ConfigError: the lock cannot be read.
    """
    if not os.path.lexists(root / LOCK):
        return []
    locked, there = _read(root), dict.fromkeys(_names(root))
    found = [f"{shown(name)} is missing" for name in locked if name not in there]
    for name in there:
        if name not in locked:
            found.append(f"{shown(name)} is added")
        elif not _is_own(root / name, root):
            found.append(f"{name} is a link that leads out of the bundle")
        elif sha256(root / name) != locked[name]:
            found.append(f"{name} is changed")
    return found


def require_unchanged(root: Path, pin: str | None = None) -> None:
    """Return if the bundle's files are as its lock says, or if it has none.

    Args:
        root: the bundle's folder.
        pin: the digest that the lock must have, as `write` returned it.

    Raises:
        ConfigError: a pin is given and the bundle has no lock, or the lock cannot be read.
        TrustError: names the first few files, or says that the lock is another one.
    """
    if pin is not None:
        if not (root / LOCK).is_file():
            raise ConfigError(f"--pin {shown(pin)}: {root} has no {LOCK}: ask its author for it, or leave --pin out")
        if (digest := sha256(root / LOCK)) != pin.lower():
            raise TrustError(
                f"--pin {shown(pin)}: {root / LOCK} has the digest {digest}: it is another bundle or version"
            )
    if found := changes(root):
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        trusts = "" if pin is not None else ", --trust runs it as it is"
        raise TrustError(
            f"{root} is not as it was locked: {'; '.join(found[:5])}{more}. "
            f"Get the bundle again; if the change is yours, run medkit lock {root}{trusts}"
        )


def _read(root: Path) -> dict[str, str]:
    if not _is_own(root / LOCK, root):
        raise ConfigError(
            f"{root / LOCK} is no plain file of the bundle: get the bundle again, or remove it and lock again"
        )
    try:
        lines = (root / LOCK).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{root / LOCK} cannot be read: {error}") from error
    matches = [_LINE.fullmatch(line) for line in lines]
    if wrong := [number for number, match in enumerate(matches, 1) if match is None]:
        raise ConfigError(
            f"{root / LOCK}, line {wrong[0]}, is no hash and file: get the bundle again, or lock it again"
        )
    return {match[2]: match[1] for match in matches if match}


def _names(root: Path) -> Iterator[str]:
    """Yield every file of a bundle but the lock and its own .git, sorted; a link to a folder counts as a file."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name != ".git" or Path(folder) != root)
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in sorted(files + links):
            relative = Path(folder, name).relative_to(root).as_posix()
            if relative != LOCK:
                yield relative


def _is_own(file: Path, root: Path) -> bool:
    """Whether it is a plain file and, links followed, lies in the bundle."""
    return file.is_file() and file.resolve().is_relative_to(root.resolve())
