"""Ten ways to hide code in a bundle: nothing of it runs unless it is trusted, and the place is named."""

from __future__ import annotations

import contextlib
import inspect
import os
import pickle
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fire
import pytest
import torch
import yaml
from monai.bundle import ConfigWorkflow, create_workflow, run
from monai.bundle.scripts import update_kwargs

from medkit import monai_options, trust
from medkit.bundle import Bundle
from medkit.errors import ConfigError
from medkit.request import Request
from medkit.runs import Run

TUNE = {"stages": ["count"], "objective": {"column": "x", "direction": "maximize"}}
TUNE["parameters"] = {"words": {"choices": [1, 2]}}
LOGGING = """
[loggers]
keys=root
[handlers]
keys=screen
[formatters]
keys=
[logger_root]
handlers=screen
[handler_screen]
class=StreamHandler
args=(open({canary!r}, 'w').close() or sys.stderr,)
"""
FILE_LOGGING = """
[loggers]
keys=root
[handlers]
keys=file
[formatters]
keys=
[logger_root]
handlers=file
[handler_file]
class=FileHandler
args=({canary!r}, 'w')
"""
SMALL = {"_target_": "medkit.network", "component": "densenet121", "in_channels": 1, "out_channels": 2}
SMALL |= {"blocks": [1, 1], "growth_rate": 4, "init_features": 4}


class Payload:
    """Writes the canary where it is unpickled."""

    def __init__(self, canary: str) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return (os.mkdir, (self.canary,))


@dataclass
class Attack:
    """A bundle that would write a file.

    Attributes:
        names: what both check and run must name.
        files: the bundle's files, from the path of the canary and a folder outside the bundle.
        runs: whether ``--trust`` lets it happen.
    """

    names: str
    files: Callable[[str, Path], dict[str, Any]]
    runs: bool = True


def count(**changes: Any) -> dict[str, Any]:
    return {"configs/count.yaml": changes}


def code(canary: str) -> str:
    return f"$open({canary!r}, 'w').close()"


def calls(canary: str, **more: Any) -> dict[str, Any]:
    return {"_target_": "os.mkdir", "path": canary, **more}


def lies(outside: Path, name: str, content: Any) -> str:
    """Write a file outside the bundle; return its path."""
    (outside / name).parent.mkdir(parents=True, exist_ok=True)
    (outside / name).write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return str(outside / name)


def pickled(canary: str, outside: Path) -> dict[str, Any]:
    weights = "$@bundle_root + '/models/model.pt'"
    return count(network_def={**SMALL, "weights": weights}, run=["$len(@words)", "@network_def"])


def stage(**changes: Any) -> dict[str, Any]:
    usual = {"name": "count", "title": "Count", "config": ["count.yaml"], "on_input": True}
    return {"configs/medkit.yaml": {"stages": [{**usual, **changes}]}}


def for_monai(outside: Path, canary: str, key: str, **stages: Any) -> dict[str, Any]:
    """A bundle that gives MONAI itself another metadata file, or another logging.conf, beside what is read here."""
    evil = {"meta_file": {"version": code(canary)}, "logging_file": FILE_LOGGING.format(canary=canary)}[key]
    file = lies(outside, f"evil_{key}.yaml", evil)
    written = stage(**{name: file_of(value, file) for name, value in stages.items() if name != "on_input"})
    if "on_input" in stages:
        written["configs/medkit.yaml"]["on_input"] = file_of(stages["on_input"], file)
    return written | count(**{key: "none"}, run=["$len(@words)", "@_meta_#version"])


def file_of(given: dict[str, Any], file: str) -> dict[str, Any]:
    return {key: file if value is FILE else value for key, value in given.items()}


FILE = "the file"
ATTACKS = {
    "code in an expression": Attack("run#0", lambda c, o: count(run=[code(c)])),
    "code in an expression that --input brings": Attack(
        "run#0", lambda c, o: {"configs/medkit.yaml": {"on_input": {"run#0": code(c)}}}, runs=False
    ),
    "code in an expression that a repetition sets": Attack("words", lambda c, o: stage(set={"words": code(c)})),
    "code in the metadata": Attack(
        "version", lambda c, o: {"configs/metadata.json": {"version": code(c)}} | count(run=["@_meta_#version"])
    ),
    "a target": Attack("run#0", lambda c, o: count(run=[calls(c)])),
    "a target that a reference names": Attack(
        "run#0", lambda c, o: count(name="os.mkdir", run=[calls(c, _target_="$@name + ''")])
    ),
    "a target that looks like ours": Attack(
        "run#0", lambda c, o: count(run=[{**SMALL, "_target_": "medkit.netw\u043erk"}]), runs=False
    ),
    "an import of the bundle's own code": Attack(
        "imports#0", lambda c, o: count(imports=["$import payload"]) | {"payload.py": f"open({c!r}, 'w').close()"}
    ),
    "an import at the top": Attack(
        "words", lambda c, o: count(words="$import payload") | {"payload.py": f"open({c!r}, 'w').close()"}
    ),
    "code that shadows a library": Attack("tqdm.py", lambda c, o: {"tqdm.py": f"open({c!r}, 'w').close()"}, runs=False),
    "logging.conf": Attack(
        "logging.conf#handler_screen#args", lambda c, o: {"configs/logging.conf": LOGGING.format(canary=c)}, runs=False
    ),
    "a macro of a file elsewhere": Attack(
        "run#0", lambda c, o: count(run=[f"%{lies(o, 'more.yaml', {'x': code(c)})}#x"])
    ),
    "a macro of the file itself": Attack("run#0", lambda c, o: count(words=[code(c)], run=["%words#0"])),
    "a YAML tag": Attack(
        "count.yaml", lambda c, o: {"configs/count.yaml": f"x: !!python/object/apply:os.mkdir [{c}]\n"}, runs=False
    ),
    "a YAML tag in medkit.yaml": Attack(
        "medkit.yaml", lambda c, o: {"configs/medkit.yaml": f"stages: !!python/object/apply:os.mkdir [{c}]"}, runs=False
    ),
    "_requires_": Attack(
        "run#0#_requires_", lambda c, o: count(run=[{"_target_": "SimpleInferer", "_requires_": [code(c)]}])
    ),
    "_mode_": Attack(
        "run#0", lambda c, o: count(run=[{"_target_": "SimpleInferer", "_mode_": "debug"}]), runs=False
    ),
    "_disabled_": Attack(
        "run#0#_disabled_", lambda c, o: count(run=[{"_target_": "SimpleInferer", "_disabled_": code(c)}])
    ),
    "a checkpoint": Attack("models/model.pt", pickled, runs=False),
    "a link to a configuration elsewhere": Attack("count.yaml", lambda c, o: {}),
    "a configuration elsewhere": Attack(
        "count.yaml", lambda c, o: stage(config=["../../outside/count.yaml"]), runs=False
    ),
    "a link to a folder of code": Attack(
        "models", lambda c, o: count(imports=["$import models.payload"]), runs=True
    ),
    "a component of code": Attack("run#0#component", lambda c, o: count(run=[{**SMALL, "component": code(c)}])),
    "a component of a path": Attack(
        "run#0#component", lambda c, o: count(run=[{**SMALL, "component": "../outside/payload"}]), runs=False
    ),
    "a component of a module": Attack(
        "run#0#component", lambda c, o: count(run=[{**SMALL, "component": "os:mkdir"}]), runs=False
    ),
    "other metadata that a repetition sets for MONAI": Attack(
        "meta_file", lambda c, o: for_monai(o, c, "meta_file", set={"meta_file": FILE}), runs=False
    ),
    "other metadata that --input brings for MONAI": Attack(
        "meta_file", lambda c, o: for_monai(o, c, "meta_file", on_input={"meta_file": FILE}), runs=False
    ),
    "other metadata for MONAI's command line, by another spelling": Attack(
        "meta-file", lambda c, o: for_monai(o, c, "meta_file", on_input={"meta-file": FILE}), runs=False
    ),
    "another logging.conf that a repetition sets for MONAI": Attack(
        "logging_file", lambda c, o: for_monai(o, c, "logging_file", set={"logging_file": FILE}), runs=False
    ),
    "a loop over MONAI's own option": Attack(
        "tracking", lambda c, o: count(tracking="x") | stage(**{"for": {"tracking": ["mlflow"]}, "on_input": False}),
        runs=False,
    ),
    "a logging.conf in a folder of configurations": Attack(
        "sub/count.yaml",
        lambda c, o: {
            "configs/sub/count.yaml": {"bundle_root": ".", "words": [1], "run": ["$len(@words)"]},
            "configs/sub/logging.conf": FILE_LOGGING.format(canary=c),
            **stage(config=["sub/count.yaml"]),
        },
        runs=False,
    ),
    "a component of another distribution": Attack(
        "run#0#component", lambda c, o: count(run=[{**SMALL, "component": "medkit-example:densenet121"}]), runs=False
    ),
}  # fmt: skip
RUN = {name: attack for name, attack in ATTACKS.items() if attack.runs}
attacks = pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))


@pytest.fixture
def malicious(tiny_bundle, tmp_path):
    """Return a function that writes an attack's bundle: its folder, and the canary."""

    def write(attack: Attack) -> tuple[Path, Path]:
        canary, outside = tmp_path / "canary", tmp_path / "outside"
        lies(outside, "count.yaml", {"bundle_root": ".", "run": [code(str(canary))]})
        lies(outside, "payload.py", f"open({str(canary)!r}, 'w').close()")
        root = tiny_bundle({"configs/tune.yaml": TUNE, **attack.files(str(canary), outside)})
        if attack is ATTACKS["a link to a configuration elsewhere"]:
            (root / "configs/count.yaml").unlink()
            (root / "configs/count.yaml").symlink_to(outside / "count.yaml")
        if attack is ATTACKS["a link to a folder of code"]:
            (root / "models").symlink_to(outside)
        if attack is ATTACKS["a checkpoint"]:
            (root / "models").mkdir()
            torch.save({"state": Payload(str(canary))}, root / "models/model.pt")
        (tmp_path / "files").mkdir()
        return root, canary

    return write


@attacks
def test_nothing_of_a_malicious_bundle_runs_and_the_place_is_named(attack, malicious, medkit):
    root, canary = malicious(attack)
    assert medkit("info", root)[0] in (0, 2)
    code, out, err = medkit("check", root)
    assert code == 2
    assert attack.names in out + err
    for words in (["run", root, "--input", "files"], ["run", root], ["run", root, "--dry-run"], ["tune", root]):
        if attack is ATTACKS["code in an expression that --input brings"] and "--input" not in words:
            continue
        code, out, err = medkit(*words)
        assert (code, out) == (2, "")
        assert attack.names in err
        assert "Traceback" not in err
    assert not canary.exists()
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "attack", [a for a in ATTACKS.values() if a.runs], ids=[n for n, a in ATTACKS.items() if a.runs]
)
@pytest.mark.filterwarnings("ignore")
def test_control_with_trust_it_does_run(attack, malicious, medkit):
    root, canary = malicious(attack)
    with contextlib.suppress(RuntimeError):  # some fail after the deed
        medkit("run", root, "--trust")
    for name in ("payload", "models", "models.payload"):
        sys.modules.pop(name, None)
    assert canary.exists()


def test_control_python_runs_what_stands_in_logging_conf(malicious):
    root, canary = malicious(ATTACKS["logging.conf"])
    program = f"import logging.config; logging.config.fileConfig({str(root / 'configs/logging.conf')!r})"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert canary.exists()


def test_control_monai_obeys_what_such_a_bundle_would_set(tiny_bundle, tmp_path):
    sub = ATTACKS["a logging.conf in a folder of configurations"].files(str(tmp_path / "sub"), tmp_path)
    root = tiny_bundle(sub | {"configs/medkit.yaml": {}})
    calls = [["--config_file", str(root / "configs/sub/count.yaml"), f"--meta_file={root / 'configs/metadata.json'}"]]
    for key in ("meta_file", "meta-file", "logging_file"):
        outside = tmp_path / f"outside-{key}"
        root = tiny_bundle(for_monai(outside, str(tmp_path / key), key.replace("-", "_")), name=f"bundle-{key}")
        calls.append(["--config_file", str(root / "configs/count.yaml"), f"--{key}", str(next(outside.iterdir()))])
    program = f"import fire; from monai.bundle import run\nfor words in {calls!r}: fire.Fire(run, words)"
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert all((tmp_path / name).exists() for name in ("sub", "meta_file", "meta-file", "logging_file"))


def test_every_option_of_monai_is_refused_to_bundles_and_users(tiny_bundle, medkit):
    takers = (ConfigWorkflow.__init__, run, create_workflow, update_kwargs)
    options = {p.name for f in takers for p in inspect.signature(f).parameters.values() if p.kind != p.VAR_KEYWORD}
    assert options == monai_options.OPTIONS
    for option in options:
        for spelling in (option, f"-{option.replace('_', '-')}", f"{option}=x"):
            with pytest.raises(ConfigError, match=f'"{spelling}", an option of MONAI itself'):
                monai_options.require_none([spelling], "it")
    code, _, err = medkit("run", tiny_bundle(count(tracking="none")), "--trust", "--tracking", "mlflow")
    assert code == 2
    assert err.startswith('medkit: an override gives "tracking", an option of MONAI itself')


def test_a_value_that_looks_like_an_option_stays_a_value(tiny_bundle):
    lures = {"words": "--meta_file=evil.json", "more": "-", "less": -1, "last": "--"}
    root = tiny_bundle(count(more="", less=0, last="") | stage(set=lures))
    planned = Run.plan(Request(Bundle.read(root)))
    (line,) = planned.dry_run()
    taken: dict[str, Any] = {}
    fire.Fire(lambda **given: taken.update(given), shlex.split(line)[4:])
    assert {key: taken[key] for key in lures} == lures
    assert taken["meta_file"] == str(root / "configs/metadata.json")


def test_control_the_checkpoint_would_run_where_more_than_weights_is_read(malicious, medkit):
    root, canary = malicious(ATTACKS["a checkpoint"])
    code, _, err = medkit("run", root, "--trust")
    assert (code, canary.exists()) == (2, False), "even a trusted bundle's checkpoint is read as weights alone"
    assert "model.pt" in err
    torch.load(root / "models/model.pt", weights_only=False)
    assert canary.exists()


def test_a_bare_pickle_is_no_checkpoint(malicious, medkit):
    root, canary = malicious(ATTACKS["a checkpoint"])
    (root / "models/model.pt").write_bytes(pickle.dumps(Payload(str(canary))))
    code, out, _ = medkit("check", root)
    assert (code, canary.exists()) == (2, False)
    assert "ERROR models/model.pt: checkpoint" in out


@pytest.mark.parametrize("name", ["model.bin", "model.pth.tar", "notes.txt", "model"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_is_known_whatever_it_is_called(name, zipped, tmp_path):
    torch.save({"state": Payload(str(tmp_path / "canary"))}, tmp_path / name, _use_new_zipfile_serialization=zipped)
    (finding,) = trust.audit_bundle(tmp_path, []).findings
    assert (finding.path, finding.what, finding.trusted) == (name, "checkpoint", False)
    torch.save({"weight": torch.ones(3)}, tmp_path / name)
    assert not trust.audit_bundle(tmp_path, []).findings


def test_what_only_begins_like_an_archive_is_no_checkpoint(tmp_path):
    (tmp_path / "cut.bin").write_bytes(b"PK\x03\x04 and no more")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("data.csv", "1,2")
    assert not trust.audit_bundle(tmp_path, []).findings


def test_a_checkpoint_of_weights_is_trusted(tiny_bundle, medkit):
    root = tiny_bundle()
    (root / "models").mkdir()
    torch.save({"state": {"weight": torch.ones(3)}, "epoch": 2}, root / "models/model.pt")
    assert medkit("check", root)[0] == 0
    assert medkit("run", root)[0] == 0


def test_no_terminal_obeys_a_bundle(tiny_bundle, medkit):
    escape = "\x1b[2J\x1b]0;owned\x07"
    stages = [{"name": "count", "title": f"Count{escape}", "config": ["count.yaml"]}]
    about = {"description": escape, "task": f"count{escape}", "version": escape}
    root = tiny_bundle({"configs/medkit.yaml": {"stages": stages}, "configs/metadata.json": about})
    for words in (["info", root], ["check", root], ["run", root], ["run", root, "--stage", escape]):
        _, out, err = medkit(*words)
        assert out + err
        assert not {"\x1b", "\x07"} & set(out + err), words


def test_nothing_runs_in_a_process_of_its_own_in_the_bundle_s_folder(malicious):
    attack = ATTACKS["code that shadows a library"]
    root, canary = malicious(attack)
    script = Path(sys.executable).with_name("medkit")
    for words in (["check", "."], ["run", "."]):
        done = subprocess.run([script, *words], cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert attack.names in done.stdout + done.stderr
    assert not canary.exists()
