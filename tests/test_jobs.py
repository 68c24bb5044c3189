"""Stages run side by side in processes of their own; one that fails is one line; nothing outlives an interrupt."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from medkit.bundle import Bundle
from medkit.errors import MedkitError
from medkit.request import Request
from medkit.runs import Run

STEPS = '''
import os, time
from pathlib import Path

def step(name, place, folder, waits_for, seconds, fails):
    """Say that it is here; wait for others to be; say who it is; wait, or fail."""
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    Path(folder, f"{name}.pid").write_text(str(os.getpid()))
    for other in waits_for:
        while not Path(folder, f"{other}.pid").exists():
            time.sleep(0.05)
    if fails:
        raise ValueError(f"{name} has no luck")
    time.sleep(seconds)
    Path(place).write_text(os.environ["OMP_NUM_THREADS"])
'''
CONFIG = {
    "bundle_root": ".",
    "output_dir": "$@bundle_root + '/out'",
    "model_dir": "@output_dir",
    "fold": 0,
    "part": "",
    "quiet": False,
    "waits_for": [],
    "seconds": 0,
    "fails": False,
    "writer": {
        "_target_": "steps.step",
        "_mode_": "callable",
        "name": "@part",
        "place": "$@output_dir + '/' + @part + '.txt'",
        "folder": "@output_dir",
        "waits_for": "@waits_for",
        "seconds": "@seconds",
        "fails": "@fails",
    },
    "run": ["$@writer()"],
}
PAIR = {
    "name": "pair",
    "title": "Part {fold}",
    "for": {"fold": ["a", "b"]},
    "set": {"part": "{fold}"},
    "makes": ["{part}.txt"],
}
BEHIND = {
    "name": "behind",
    "title": "Behind",
    "config": ["step.yaml"],
    "needs": ["{part}.txt"],
    "set": {"part": "c"},
    "makes": ["c.txt"],
}


pytestmark = pytest.mark.slow


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of two repetitions that meet each other, and a stage behind them."""
    return write(tmp_path, {"waits_for": ["a", "b"]})


def write(folder: Path, config: dict, files: Sequence[str] = ("step.yaml",)) -> Path:
    configs = folder / "bundles" / "jobs" / "configs"
    configs.mkdir(parents=True)
    (configs.parent / "steps.py").write_text(STEPS)
    behind = BEHIND | {"needs": ["a.txt", "b.txt"]}
    (configs / "medkit.yaml").write_text(yaml.safe_dump({"stages": [PAIR | {"config": list(files)}, behind]}))
    (configs / "metadata.json").write_text(json.dumps({"version": "1.0", "name": "jobs"}))
    (configs / "step.yaml").write_text(yaml.safe_dump(CONFIG | config))
    return configs.parent


def execute(bundle: Path, **options) -> tuple[Run, list[str]]:
    lines: list[str] = []
    run = Run.plan(Request(Bundle.read(bundle), **{"trusted": True, "runs_dir": bundle / "runs", "jobs": 2, **options}))
    run.execute(lines.append)
    return run, lines


def test_stages_meet_and_what_needs_them_comes_behind(bundle, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    run, lines = execute(bundle)
    assert {line.partition(":")[0] for line in lines[:2]} == {"[1/3] Part a", "[2/3] Part b"}
    assert lines[2].startswith("[3/3] Behind: ")
    assert (run.output_dir / "c.txt").read_text() == "3"
    assert run.configs["behind"]["quiet"]
    assert (run.output_dir / "logs" / "pair[fold=a].txt").is_file()
    assert all(line.endswith("done before") for line in execute(bundle)[1])
    (run.output_dir / "b.txt").unlink()
    _, lines = execute(bundle, jobs=1)  # the same run, in this process
    assert [line.endswith("done before") for line in lines] == [True, False, False, False, False]


def test_a_failing_stage_lets_others_end_and_a_rerun_continues(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("torch.get_num_threads", lambda: 9)
    bundle = write(tmp_path, {"fails": "$@fold == 'b'", "waits_for": ["b"], "seconds": "$2 * (@fold == 'a')"})
    with pytest.raises(
        MedkitError, match=r'^stage "pair\[fold=b\]": ValueError: b has no luck \(all that it printed: .*\)$'
    ):
        execute(bundle)
    output = next((bundle / "runs" / "jobs").glob("2*"))
    assert (output / "a.txt").read_text() == "4"  # its share of the cores
    assert not (output / "c.pid").exists()
    assert "Traceback" in (output / "logs" / "pair[fold=b].txt").read_text()
    (bundle / "steps.py").write_text(STEPS.replace("if fails", "if False"))
    _, lines = execute(bundle)
    assert lines[0] == "[1/3] Part a: done before"
    assert [line.partition(":")[0] for line in lines[1:]] == ["[2/3] Part b", "[3/3] Behind"]


def test_each_failure_is_told_and_untrusted_stages_stay_confined(tmp_path, monkeypatch):
    monkeypatch.setattr("medkit.trust.require_trust", lambda audit: None)
    bundle = write(tmp_path, {"run": ["@writer"]}, ["step.yaml", "{fold}.yaml"])
    writer = {"_target_": "medkit.files.write_json", "path": str(tmp_path / "elsewhere"), "value": 1}
    (bundle / "configs" / "a.yaml").write_text(yaml.safe_dump({"writer": writer}))
    (bundle / "configs" / "b.yaml").write_text(yaml.safe_dump({"writer": writer | {"pth": 1}}))
    with pytest.raises(MedkitError) as caught:
        execute(bundle, trusted=False)
    assert 'stage "pair[fold=a]": the bundle would write' in str(caught.value)
    assert "outside its run folder" in str(caught.value)
    assert 'stage "pair[fold=b]": medkit.files.write_json cannot be built from' in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_other_repetitions_go_on_and_what_takes_any_of_them(tmp_path, jobs, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delitem(sys.modules, "steps", raising=False)
    bundle = write(tmp_path, {"fails": "$@fold == 'b'"})
    (bundle / "steps.py").write_text(STEPS.replace("ValueError", "__import__('medkit').errors.DataError"))
    pair = PAIR | {"config": ["step.yaml"], "for": {"fold": ["a", "b", "c"]}}
    after = {"config": ["step.yaml"], "makes": ["{part}.txt"], "for": {"fold": ["a", "b", "c"]}}
    after |= {"name": "after", "title": "After {fold}", "needs": ["{fold}.txt"], "set": {"part": "after_{fold}"}}
    table = BEHIND | {"needs": ["after_*.txt"], "set": {"part": "table"}, "makes": ["table.txt"]}
    (bundle / "configs" / "medkit.yaml").write_text(yaml.safe_dump({"stages": [pair, after, table]}))
    with pytest.raises(MedkitError, match=r'^stage "pair\[fold=b\]": [^;]*b has no luck[^;]*$'):
        execute(bundle, jobs=jobs)
    (output,) = (bundle / "runs" / "jobs").glob("2*")
    made = {path.stem for path in output.glob("*.txt")}
    assert made == {"a", "c", "after_a", "after_c", "table"}
    assert not (bundle / "runs" / "jobs" / "latest").exists()


def test_a_stage_that_cannot_begin_ends_the_run_in_one_line(tmp_path):
    bundle = write(tmp_path, {})
    alone = {
        "config": ["step.yaml"],
        "set": {"part": "alone"},
        "name": "alone",
        "title": "Alone",
        "needs": ["none.txt"],
    }
    pair = PAIR | {"config": ["step.yaml"], "needs": ["other.txt"]}
    (bundle / "configs" / "medkit.yaml").write_text(yaml.safe_dump({"stages": [alone, pair]}))
    with pytest.raises(MedkitError, match=r'^stage "alone" needs .*none.txt'):
        execute(bundle)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["interrupt", "kill"])
def test_nothing_outlives_the_run(tmp_path, how):
    bundle = write(tmp_path, {"seconds": 600})
    output = tmp_path / "out"
    words = ["run", str(bundle), "--jobs", "2", "--trust", "--output_dir", str(output)]
    run = subprocess.Popen([sys.executable, "-m", "medkit.cli", *words], stderr=subprocess.PIPE, text=True)
    files = [output / "a.pid", output / "b.pid"]
    while run.poll() is None and not all(file.is_file() and file.read_text() for file in files):
        time.sleep(0.1)
    run.send_signal(how)
    _, said = run.communicate()
    assert run.returncode == (130 if how == signal.SIGINT else -how)
    if how == signal.SIGINT:
        assert said.splitlines()[-1] == "medkit: interrupted; the same command continues where it stopped"
    deadline = time.monotonic() + 30
    for file in files:
        while _lives(int(file.read_text())):  # a child of a killed process ends a moment later
            assert time.monotonic() < deadline, f"{file} outlives its run"
            time.sleep(0.1)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not (state.is_file() and state.read_text().rpartition(")")[2].split()[0] == "Z")
