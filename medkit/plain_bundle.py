"""A MONAI bundle without medkit's stages, such as those of MONAI's model zoo: each of its config files is one."""

from __future__ import annotations

from pathlib import Path

from medkit.bundle import Bundle, Stage, read_metadata
from medkit.configuration import is_inside, load_config
from medkit.errors import ConfigError

_SUFFIXES = (".json", ".yaml", ".yml")
_NO_CONFIG = ("metadata.json", "medkit.yaml")


def config_names(root: Path) -> list[str]:
    """Return the names of a bundle's config files, sorted, without metadata.json and medkit.yaml."""
    files = sorted((root / "configs").glob("*"))
    return [file.name for file in files if file.suffix in _SUFFIXES and file.name not in _NO_CONFIG]


def read_plain(path: str | Path) -> Bundle:
    """Return a bundle whose stages are its config files.

    Raises:
        ConfigError: there is no configuration in the folder.
    """
    root = Path(path).expanduser().resolve()
    names = config_names(root)
    if not names:
        raise ConfigError(f'"{path}" is no bundle: it has no configuration in configs/')
    metadata = read_metadata(root) if (root / "configs" / "metadata.json").exists() else {}
    stages = tuple(Stage(name=n, title=n, config=(*_below(root, n, names), n)) for n in names)
    return Bundle(root, stages, stages, {}, metadata)


def _below(root: Path, name: str, names: list[str]) -> tuple[str, ...]:
    """Return the files that one is laid over, as its name says: ``multi_gpu_train`` over ``train``, others over that.

    One that defines a network stands alone.
    """
    stem = Path(name).stem
    if is_inside(root / "configs" / name, root) and _stands_alone(root / "configs" / name, root):
        return ()
    others = {Path(other).stem: other for other in names if other != name}
    named = [s for s in others if stem.startswith(f"{s}_") or stem.endswith(f"_{s}")]
    base = others.get(max(named, key=len) if named else "train")
    return () if base is None or stem == "train" else (*_below(root, base, [n for n in names if n != name]), base)


def _stands_alone(file: Path, root: Path) -> bool:
    try:
        return "network_def" in load_config([file], bundle_root=root)
    except ConfigError:  # what it changes lies in another file, or it cannot be read: whoever reads it next says so
        return False
