"""docs/authors/first_plugin.md, command by command: from an empty folder to a localizer that chest_gradcam uses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from flit_core.wheel import make_wheel_in

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/authors/first_plugin.md").read_text(encoding="utf-8")
BUNDLE = ROOT / "bundles" / "chest_gradcam"
pytestmark = pytest.mark.slow


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """The variables of an active, fresh environment: wheels of medkit and of what the bundle needs, no network.

    Third-party packages are those of the running environment, by links: of medkit itself nothing comes from there.
    """
    folder = tmp_path_factory.mktemp("environment")
    (folder / "third_party").mkdir()
    for site in [Path(p) for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]:
        for entry in site.iterdir():
            link = folder / "third_party" / entry.name
            if not entry.name.startswith("medkit") and entry.suffix != ".pth" and not link.is_symlink():
                link.symlink_to(entry)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    (site / "third_party.pth").write_text(f"{folder / 'third_party'}\n", encoding="utf-8")
    needed = json.loads((BUNDLE / "configs" / "metadata.json").read_text())["required_packages_version"]
    folders = [name.removeprefix("medkit-").replace("-", "_") for name in needed if name != "medkit"]
    sources = [ROOT, *(ROOT / "plugins" / name for name in ("example", *folders))]
    wheels = [str(make_wheel_in(source / "pyproject.toml", folder).file) for source in sources]
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    variables |= {
        "PATH": os.pathsep.join([str(folder / "venv" / "bin"), os.environ["PATH"]]),
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it as "isolation: no"
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "OMP_NUM_THREADS": "1",
    }
    install = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "-q", "--no-deps", *wheels]
    subprocess.run(install, check=True, env=variables)
    return variables


def test_the_commands_of_the_page_lead_to_a_localizer_that_a_bundle_uses(environment, tmp_path):
    (tmp_path / "medkit").symlink_to(ROOT)
    work = tmp_path / "work"
    work.mkdir()
    said = ""
    for block in blocks("sh"):
        done = subprocess.run(
            ["bash", "-euxc", block], cwd=work, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        said += done.stdout
    skipped = "" if torch.cuda.is_available() else ", 1 skipped"  # that maps follow their images to a GPU
    passed = rf"^=+ \d+ passed{skipped}(, \d+ warnings?)? in"
    assert re.search(passed, said, re.MULTILINE), "a test of the new plugin was skipped"
    assert "my_bundle: in order" in said
    (run,) = (work / "runs" / "chest_gradcam").glob("[0-9]*")
    for stage in ("fit", "evaluate", "inference"):
        assert json.loads((run / "configs" / f"{stage}.json").read_text())["inferer"]["component"] == "my_cam"
    assert "SYNTHETIC" in (run / "report.html").read_text()
    assert list((run / "heatmaps").iterdir())
    assert (work / "runs" / "my_bundle" / "latest" / "models" / "model.pt").is_file()
    written = "".join(path.read_text() for path in (work / "my_cam").rglob("*.py"))
    for block in blocks("python"):
        assert block in written, "the page shows what medkit new does not write"
    assert [path.name for path in (work / "dist").iterdir()] == ["medkit_my_cam-0.1.0-py3-none-any.whl"]
