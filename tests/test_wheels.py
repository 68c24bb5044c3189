"""The core and every plugin as a stranger installs them: wheels that are whole, and that need no checkout."""

from __future__ import annotations

import email
import json
import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from email.message import Message
from pathlib import Path

import pytest
from flit_core import wheel

ROOT = Path(__file__).parent.parent
FOLDERS = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
pytestmark = pytest.mark.slow


def project(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    """The folder that `make wheels` would write."""
    dist = tmp_path_factory.mktemp("dist")
    for folder in FOLDERS:
        wheel.main([str(folder), "--outdir", str(dist)])
    return dist


def built(wheels: Path, folder: Path) -> tuple[dict[str, bytes], Message]:
    """Return the files in a folder's wheel, and its metadata."""
    (file,) = wheels.glob(f"{project(folder)['name'].replace('-', '_')}-*.whl")
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    (metadata,) = [text for name, text in content.items() if name.endswith(".dist-info/METADATA")]
    return content, email.message_from_string(metadata.decode())


def test_every_folder_gives_one_wheel_with_what_its_project_says(wheels):
    assert len(list(wheels.iterdir())) == len(FOLDERS) > 40
    for folder in FOLDERS:
        content, metadata = built(wheels, folder)
        said = project(folder)
        assert metadata["Name"] == said["name"]
        assert metadata["Requires-Python"] == ">=3.11"
        assert metadata["License-Expression"] == "Apache-2.0"
        assert metadata["Summary"] == said["description"]
        assert metadata.get_payload().strip() == (folder / "README.md").read_text(encoding="utf-8").strip()
        (licence,) = [text for name, text in content.items() if name.endswith(".dist-info/licenses/LICENSE")]
        assert licence == (ROOT / "LICENSE").read_bytes(), folder
        needs = [need.split(">")[0] for need in metadata.get_all("Requires-Dist")]
        (entries,) = [text.decode() for name, text in content.items() if name.endswith("entry_points.txt")]
        if folder == ROOT:
            assert "medkit=medkit.cli:main" in entries
        else:
            assert "medkit" in needs
            assert f"[medkit]\n{folder.name}=medkit_{folder.name}.hooks" in entries


def test_every_file_of_a_package_is_in_its_wheel(wheels):
    for folder in FOLDERS:
        content, _ = built(wheels, folder)
        source = folder if folder == ROOT else folder / "src"
        package = source / project(folder)["name"].replace("-", "_")
        files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        packed = {name: text for name, text in content.items() if ".dist-info/" not in name}
        assert packed == {path.relative_to(source).as_posix(): path.read_bytes() for path in files}, folder


@pytest.fixture(scope="module")
def environment(wheels, tmp_path_factory) -> Path:
    """The ``bin`` folder of a new environment into which nothing but the wheels was installed.

    Third-party packages are not installed again, torch alone would take minutes: a folder of links lends it those that
    run this test, all but medkit's own and whatever points at a checkout (``.pth`` files). So pip resolves nothing of
    what the wheels say they need.
    """
    home = tmp_path_factory.mktemp("empty")
    venv.create(home / "venv", symlinks=True)
    python = home / "venv" / "bin" / "python"
    lent = home / "lent"
    lent.mkdir()
    for site in [Path(path) for path in sys.path if path.endswith("site-packages")]:
        for item in site.iterdir():
            ours = item.name.startswith("medkit") or item.suffix == ".pth"
            if not ours and not (lent / item.name).exists():
                (lent / item.name).symlink_to(item)
    (own,) = (home / "venv" / "lib").glob("python*/site-packages")
    (own / "lent.pth").write_text(f"{lent}\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-compile", *wheels.iterdir()], check=True)
    return python.parent


def said(environment: Path, *command: str) -> str:
    """Return what a program of the environment prints, run in an empty folder; it must end well."""
    elsewhere = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    folder = environment.parents[1] / "nowhere"
    folder.mkdir(exist_ok=True)
    words = [environment / command[0], *command[1:]]
    done = subprocess.run(words, cwd=folder, env=elsewhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_empty_environment_has_every_part_and_every_plugin_is_in_order(environment):
    found = json.loads(said(environment, "medkit", "plugins", "--json"))
    assert found["failures"] == []
    assert {part["distribution"] for part in found["parts"]} == {project(folder)["name"] for folder in FOLDERS[1:]}
    checked = said(environment, "medkit", "check", str(ROOT / "bundles" / "chest_gradcam"))
    assert checked.startswith("plugins: in order")
    assert "chest_gradcam: in order" in checked


LOAD = """
import inspect, json, sys
from medkit.registry import registry
parts = [offer.component.load() for offer in registry().offers]
files = [sys.modules[inspect.unwrap(getattr(part, "callback", part)).__module__].__file__ for part in parts]
print(json.dumps({"files": [*files, sys.modules["medkit"].__file__], "path": sys.path}))
"""


def test_every_part_is_loaded_from_its_wheel_and_nothing_from_the_checkout(environment):
    found = json.loads(said(environment, "python", "-W", "ignore", "-c", LOAD).splitlines()[-1])
    assert len(found["files"]) > 100
    for file in found["files"]:
        assert Path(file).is_relative_to(environment.parent), file
    assert not [path for path in found["path"] if path and Path(path).resolve().is_relative_to(ROOT)]
