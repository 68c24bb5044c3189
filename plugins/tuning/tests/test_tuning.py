"""The search finds what is better than the default, stops what is worse, and goes on after any end."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
import yaml
from click.testing import CliRunner
from medkit_tuning import command, shared_study
from medkit_tuning import search as searching
from medkit_tuning.command import tune
from medkit_tuning.objective import Objective
from medkit_tuning.plan import Plan
from medkit_tuning.results import compared, write_results
from medkit_tuning.search import search
from medkit_tuning.shared_study import SAMPLERS, SharedStudy
from medkit_tuning.space import Space, words
from medkit_tuning.trial_process import TrialProcess
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from medkit.errors import ConfigError, TrainingError
from medkit.overrides import parse
from medkit.tables import read_csv

TRAIN = '''
import math
from pathlib import Path

def train(folder, lr, width):
    """Three epochs; the best learning rate is 0.001."""
    value = 1 - 0.1 * abs(math.log10(lr) + 3)
    rows = [f"{epoch},{value - 0.1 / epoch},{width}\\n" for epoch in (1, 2, 3)]
    Path(folder, "history.csv").write_text("epoch,validation_score,width\\n" + "".join(rows))
'''
CONFIG = {
    "bundle_root": ".",
    "output_dir": "$@bundle_root + '/out'",
    "dataset_dir": None,
    "quiet": False,
    "width": 8,
    "optimizer": {"lr": 0.1, "name": "@name", "momentum": "$1 / 2"},
    "name": "adam",
    "trainer": {
        "_target_": "tiny.train",
        "_mode_": "callable",
        "folder": "@output_dir",
        "lr": "@optimizer#lr",
        "width": "@width",
    },
    "run": ["$@trainer()"],
}
TUNE = {
    "objective": {"column": "validation_score", "direction": "maximize"},
    "parameters": {"optimizer#lr": {"low": "1e-4", "high": 1, "log": True}, "width": {"choices": [8, 16]}},
}
RUN = """
import subprocess, sys, time
from pathlib import Path
folder, mode, epochs = Path(sys.argv[1]), sys.argv[2], 4
rows = "epoch,validation_score\\n"
if mode == "fails":
    print("Traceback …\\nmedkit: the loss is not finite")
    sys.exit(2)
for epoch in range(1, epochs + 1):
    rows += f"{epoch},{0.9 if mode == 'good' else 0.1}\\n"
    (folder / "history.csv").write_text(rows)
if mode in ("bad", "endless"):
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    (folder / "child.pid").write_text(str(child.pid))
    time.sleep(600)
"""
"""What a trial does in the tests that are about the search alone: quick, bad and endless, endless, or failing."""


@pytest.fixture
def bundle(tmp_path):
    return write(tmp_path / "tiny")


def write(folder, tune=TUNE, config=None):
    configs = folder / "configs"
    configs.mkdir(parents=True)
    (folder / "tiny.py").write_text(TRAIN)
    stages = [{"name": name, "title": name, "config": [f"{name}.yaml"]} for name in ("train", "test")]
    (configs / "medkit.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (configs / "metadata.json").write_text(json.dumps({"version": "1.0", "name": "tiny"}))
    (configs / "train.yaml").write_text(yaml.safe_dump(CONFIG | (config or {})))
    (configs / "test.yaml").write_text(yaml.safe_dump(CONFIG | {"threshold": 0.5}))
    if tune:
        (configs / "tune.yaml").write_text(yaml.safe_dump(tune))
    return folder


def planned(bundle, *overrides):
    return Plan.make(bundle, overrides, bundle.parent / "data", trusted=True)


def opened(plan, folder, sampler="random", pruner="none", seed=0):
    return SharedStudy(folder / "study.db", plan, folder / "trials", sampler, pruner, seed)


@pytest.fixture
def quick(monkeypatch):
    """Make a trial quick: what it does is the word for its number."""

    def quicken(*modes):
        def command(plan, folder, values):
            return [sys.executable, "-S", "-c", RUN, str(folder), modes[int(folder.name)]]

        monkeypatch.setattr(Plan, "command", command)

    return quicken


def states(shared):
    return [trial.state.name for trial in shared.study.trials]


# -- the whole ---------------------------------------------------------------------------------------------------------
def test_two_processes_share_a_study_and_beat_the_default_on_its_own_objective(bundle, tmp_path):
    common = [str(bundle), "--study", str(tmp_path / "study.db"), "--trials", "3", "--sampler", "random", "--trust"]
    mine = [*common, "-o", str(tmp_path / "mine")]
    first = CliRunner().invoke(tune, [*mine[:4], "1", *mine[5:]], catch_exceptions=False)
    assert first.exit_code == 0
    assert first.stdout.splitlines()[-1].endswith(
        "best 0.7667 (trial 0): nothing found that is better than the default"
    )
    other = [sys.executable, "-m", "medkit.cli", "tune", *common, "-o", str(tmp_path / "other")]
    with subprocess.Popen(other, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert CliRunner().invoke(tune, mine, catch_exceptions=False).exit_code == 0
        said = process.communicate()[0]
    assert process.returncode == 0, said
    again = CliRunner().invoke(tune, mine, catch_exceptions=False)  # nothing is left to run
    rows = read_csv(tmp_path / "mine" / "trials.csv")
    assert [(row["trial"], row["state"], row["epochs"]) for row in rows] == [(n, "complete", "3") for n in "012"]
    assert (float(rows[0]["optimizer#lr"]), rows[0]["width"]) == (0.1, "8")
    for row in rows:
        expected = 1 - 0.1 * abs(math.log10(float(row["optimizer#lr"])) + 3) - 0.1 / 3
        assert float(row["value"]) == pytest.approx(expected)
        ran = json.loads(Path(row["folder"], "run.json").read_text())["overrides"]
        assert (ran["optimizer#lr"], ran["width"]) == (row["optimizer#lr"], row["width"])
        assert not Path(row["folder"], "receipts", "test.json").exists()
    best = max(rows, key=lambda row: float(row["value"]))
    found = yaml.safe_load((tmp_path / "mine" / "best.yaml").read_text())
    assert found == {"optimizer#lr": float(best["optimizer#lr"]), "width": int(best["width"])}
    _, command, line = again.stdout.splitlines()
    value, default = float(best["value"]), float(rows[0]["value"])
    assert value > default
    end = f"(trial {best['trial']}) against the default's {default:.4g}: {value - default:+.4g}"
    assert line == f"validation_score: best {value:.4g} {end}"
    assert command == f"medkit run {bundle} '--optimizer#lr' {best['optimizer#lr']} --width {best['width']}"
    assert (tmp_path / "mine" / "tune.png").stat().st_size > 10_000


# -- the search --------------------------------------------------------------------------------------------------------
def test_a_failing_trial_is_told_and_others_go_on(bundle, tmp_path, quick):
    quick("good", "fails", "good", "fails")
    lines = []
    with opened(planned(bundle), tmp_path) as shared:
        search(shared, 3, 2, lines.append)
        assert states(shared) == ["COMPLETE", "FAIL", "COMPLETE"]
        said = write_results(shared, bundle, tmp_path)
    assert any(line.startswith("trial 1: failed: the loss is not finite, ") for line in lines)
    assert said[0].startswith("2 complete, 0 pruned, 1 failed: ")
    assert read_csv(tmp_path / "trials.csv")[1]["reason"] == "the loss is not finite"
    with opened(planned(bundle), tmp_path) as shared:
        search(shared, 4, 1, lines.append)  # the total counts what ran before
        assert states(shared) == ["COMPLETE", "FAIL", "COMPLETE", "FAIL"]


def test_a_default_that_fails_ends_the_search_and_begins_the_next(bundle, tmp_path, quick):
    quick("fails", "endless")
    with opened(planned(bundle), tmp_path) as shared:
        with pytest.raises(TrainingError, match=r"^the bundle's own values failed, .*: the loss is not finite \(.*\)$"):
            search(shared, 3, 2, str)
        assert "RUNNING" not in states(shared)
    quick("good", "good", "good", "good", "good")
    with opened(planned(bundle), tmp_path) as shared:
        search(shared, 3, 1, str)
        assert states(shared).count("COMPLETE") == 3
        default = next(t for t in shared.study.trials if t.user_attrs.get("default") and t.state is TrialState.COMPLETE)
        assert default.params == planned(bundle).defaults


@pytest.mark.parametrize("name", ["samplers", "pruners"])
def test_the_command_offers_what_there_is(name):
    assert getattr(command, name.upper()) == tuple(getattr(shared_study, name.upper()))


def test_a_trial_below_the_median_is_stopped_with_all_that_it_started(bundle, tmp_path, quick):
    quick(*["good"] * 5, "bad")
    lines = []
    with opened(planned(bundle), tmp_path, pruner="median") as shared:
        search(shared, 6, 1, lines.append)
        assert states(shared) == ["COMPLETE"] * 5 + ["PRUNED"]
    assert lines[-1].startswith("trial 5: stopped after epoch 4, validation_score 0.1, ")
    await_end(tmp_path / "trials" / "0005")


def test_the_default_is_never_stopped(bundle, tmp_path, quick):
    quick("endless")
    objective = planned(bundle).space.objective
    with opened(planned(bundle), tmp_path, pruner="median") as shared:
        trial, folder = shared.next(1)
        trial.should_prune = lambda: True
        (folder / "history.csv").write_text("epoch,validation_score\n1,0.1\n")
        running = searching._Running(shared.plan, trial, folder, 1)
        assert not running.watch(objective)
        running.process.interrupt()
        running.process.end()


def test_ctrl_c_ends_all_processes_and_the_same_command_goes_on(bundle, tmp_path, quick, monkeypatch):
    quick("endless", "good")
    folder = tmp_path / "trials" / "0000"

    def pause(seconds):
        if (folder / "child.pid").is_file() and (folder / "child.pid").read_text():
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(searching, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
        with opened(planned(bundle), tmp_path) as shared, pytest.raises(KeyboardInterrupt):
            search(shared, 2, 1, str)
    await_end(folder)
    quick("good", "unused", "good")
    with opened(planned(bundle), tmp_path) as shared:
        assert states(shared) == ["FAIL", "WAITING"]
        search(shared, 2, 1, str)
        assert states(shared) == ["FAIL", "COMPLETE", "COMPLETE"]
        first, again, _ = shared.study.trials
        assert first.params == again.params == planned(bundle).defaults
        assert first.user_attrs["folder"] == again.user_attrs["folder"]
        write_results(shared, bundle, tmp_path)
    assert [row["trial"] for row in read_csv(tmp_path / "trials.csv")] == ["1", "2"]


def test_only_trials_of_processes_that_have_ended_are_tried_again(bundle, tmp_path):
    plan = planned(bundle)
    with opened(plan, tmp_path) as one, opened(plan, tmp_path) as other:
        first, second = one.next(3)[0], one.next(3)[0]
        third = other.next(3)[0]
        assert [t.number for t in (first, second, third)] == [0, 1, 2]
        assert other.next(3) is None  # all three run
        one.held.pop(0).release()  # as when its process is killed
        again, folder = other.next(3)
        assert (again.number, again.params, folder.name) == (3, plan.defaults, "0000")
        assert again.user_attrs["default"]
        assert states(other) == ["FAIL", "RUNNING", "RUNNING", "RUNNING"]
        assert other.next(3) is None


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_draws_depend_on_the_seed_and_not_on_the_process(bundle, tmp_path, sampler):
    plan = planned(bundle)

    def drawn(folder, counts, seed=0):
        for count in counts:  # as many processes, one after another
            with opened(plan, folder, sampler, seed=seed) as shared:
                for _ in range(count):
                    trial = shared.next(100)[0]
                    shared.complete(trial, 1 - abs(math.log10(trial.params["optimizer#lr"]) + 3))
                found = [trial.params for trial in shared.study.trials]
        return found

    together = drawn(tmp_path / "a", [4])
    assert together == drawn(tmp_path / "b", [2, 2])
    assert together[0] == plan.defaults == {"optimizer#lr": 0.1, "width": "8"}
    assert len({trial["optimizer#lr"] for trial in together + drawn(tmp_path / "c", [4], seed=1)}) == 7


@pytest.mark.parametrize(("sampler", "inherits"), [("nsga2", True), ("random", False)])
def test_the_genetic_search_inherits_from_its_first_generation(bundle, tmp_path, sampler, inherits):
    plan, values = planned(bundle), []
    with opened(plan, tmp_path, sampler) as shared:
        for _ in range(15):
            trial = shared.next(100)[0]
            values.append(trial.params["optimizer#lr"])
            shared.complete(trial, 1 - abs(math.log10(values[-1]) + 3))
    first, second = values[:10], values[10:]
    assert len(set(first)) == 10
    assert bool(set(first) & set(second)) == inherits


def test_a_trial_without_the_column_ends_the_search(bundle, tmp_path, quick):
    quick("good")
    tuned = TUNE | {"objective": {"column": "validation_scores", "direction": "maximize"}}
    (bundle / "configs" / "tune.yaml").write_text(yaml.safe_dump(tuned))
    with (
        opened(planned(bundle), tmp_path) as shared,
        pytest.raises(ConfigError, match=r'no column "validation_scores"\. Did you mean "validation_score"\?'),
    ):
        search(shared, 3, 1, str)


def await_end(folder):
    deadline = time.monotonic() + 30
    while _lives(int((folder / "child.pid").read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _lives(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not (state.is_file() and state.read_text().rpartition(")")[2].split()[0] == "Z")


# -- a trial's process -------------------------------------------------------------------------------------------------
WAITING = """
import subprocess, sys, time
from pathlib import Path
from medkit.cli import one_line_errors
from medkit_tuning import trial_process

def medkit():
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    Path(sys.argv[1]).write_text(str(child.pid))
    with one_line_errors():
        try:
            time.sleep(600)
        finally:
            Path(sys.argv[1]).with_name("tidy").touch()

trial_process.medkit = medkit
trial_process.main()
"""


def test_a_trial_that_is_asked_to_end_tidies_up(tmp_path):
    process = TrialProcess([sys.executable, "-c", WAITING, str(tmp_path / "child.pid")], tmp_path / "log.txt", 1)
    wait_for(tmp_path / "child.pid")
    process.interrupt()
    process.end()
    assert (tmp_path / "tidy").exists()
    assert process.why_failed().startswith("interrupted; ")
    await_end(tmp_path)


def test_a_trial_ends_with_whoever_started_it(tmp_path):
    process = TrialProcess([sys.executable, "-c", WAITING, str(tmp_path / "child.pid")], tmp_path / "log.txt", 1)
    wait_for(tmp_path / "child.pid")
    process.process.stdin.close()  # as the system does when the parent is gone
    assert process.process.wait(30) == -signal.SIGKILL
    assert process.why_failed() == "ended by SIGKILL"
    await_end(tmp_path)


def wait_for(file):
    deadline = time.monotonic() + 60
    while not (file.is_file() and file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


# -- what is searched --------------------------------------------------------------------------------------------------
def test_limits_become_optunas(tmp_path):
    limits = {
        "a": {"low": "1e-5", "high": "1e-2", "log": True},
        "b": {"low": 4, "high": 32},
        "c": {"choices": [[3, 6], None, "x", 1.5]},
    }
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tune.yaml").write_text(yaml.safe_dump(TUNE | {"parameters": limits}))
    space = Space.read(SimpleNamespace(root=tmp_path, name="x", stages=[SimpleNamespace(base="first")]))
    assert space.stages == ("first",)
    assert space.objective == Objective("validation_score", "maximize", "history.csv")
    assert space.parameters == {
        "a": FloatDistribution(1e-5, 1e-2, log=True),
        "b": IntDistribution(4, 32),
        "c": CategoricalDistribution(["[3, 6]", "None", "x", "1.5"]),
    }
    values = {"a": 1e-5, "b": 4, "c": "[3, 6]"}
    assert parse(words(values)) == {"a": 1e-5, "b": 4, "c": [3, 6]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"parameters": {"lr": {"low": 1, "high": 1.0}}}, r'parameter "lr": low 1 is not below high 1\.0$'),
        ({"parameters": {"lr": {"low": 0.0, "high": 1, "log": True}}}, r'parameter "lr": .*low'),
        ({"parameters": {"lr": {"low": "tiny", "high": 1}}}, r"a limit is a number, found 'tiny'$"),
        ({"parameters": {"lr": {"low": 0, "high": "inf"}}}, r"a limit is a finite number, found 'inf'$"),
        ({"parameters": {"lr": {"low": 0, "hihg": 1}}}, r'unknown key "hihg"\. Did you mean "high"\?'),
        ({"parameters": {"lr": {"low": 0}}}, r'parameter "lr" lacks high$'),
        ({"parameters": {"lr": [0, 1]}}, r'parameter "lr" is a mapping of high, log, low, found \[0, 1\]$'),
        ({"parameters": {"lr": {"choices": [1, 1]}}}, r"at least two different values, found \[1, 1\]$"),
        ({"parameters": {}}, r"parameters is a mapping of keys to limits, found {}$"),
        ({"stages": "train"}, r"stages is a list of names, found 'train'$"),
        ({"objectives": {}}, r'unknown key "objectives"\. Did you mean "objective"\?'),
        ({"objective": {"column": "x"}}, r"objective lacks direction$"),
        ({"objective": {"column": "x", "direction": "up"}}, r"maximize or minimize, found 'up'$"),
    ],
)
def test_a_wrong_tune_yaml_is_one_line(tmp_path, changed, message):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tune.yaml").write_text(yaml.safe_dump(TUNE | changed))
    with pytest.raises(ConfigError, match=message) as caught:
        Space.read(SimpleNamespace(root=tmp_path, name="x", stages=[SimpleNamespace(base="first")]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameter", "overrides", "message"),
    [
        ({"optimzer#lr": {"low": 0.0, "high": 1}}, (), r'"--optimzer#lr" applies to no stage \(train\)\. Did you mean'),
        ({"threshold": {"low": 0.0, "high": 1}}, (), r'"--threshold" applies to no stage \(train\)'),
        ({"optimizer#lr": {"low": 0.2, "high": 1}}, (), r"the bundle's own 0\.1 is not within 0\.2…1\.0$"),
        ({"optimizer#lr": {"low": 0, "high": 1}}, (), r"the bundle's own 0\.1 is not within 0…1$"),
        ({"width": {"choices": [4, 6]}}, (), r"the bundle's own 8 is none of its choices: add it$"),
        ({"optimizer#momentum": {"low": 0.0, "high": 1}}, (), r"has '\$1 / 2' there, not a number"),
        ({"optimizer#decay": {"low": 0.0, "high": 1}}, (), r"has None there, not a number"),
        ({"width": {"low": 4, "high": 8}}, ("--width", "6"), r'^"--width" is searched: leave it out here'),
    ],
)
def test_a_search_that_does_not_fit_the_bundle_is_one_line(tmp_path, parameter, overrides, message):
    bundle = write(tmp_path / "tiny", TUNE | {"parameters": parameter})
    with pytest.raises(ConfigError, match=message):
        planned(bundle, *overrides)


def test_a_bundle_without_a_search_says_so(tmp_path):
    with pytest.raises(ConfigError, match=r"^bundle tiny has no configs/tune\.yaml: "):
        planned(write(tmp_path / "tiny", tune=None))


def test_all_trials_read_one_folder_of_phantoms_that_is_made_once(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr("medkit.dataset", lambda **options: made.append((options, os.environ["MEDKIT_WRITES_BELOW"])))
    monkeypatch.setattr("medkit.trust.require_trust", lambda audit: None)
    data = {"_target_": "medkit.dataset", "component": "x", "fallback": "y", "dataset_dir": "@dataset_dir"}
    own = {**data, "work_dir": "@output_dir"}
    bundle = write(tmp_path / "tiny", config={"train": {"data": {**own, "section": "training"}}, "check": own})
    plan = Plan.make(bundle, (), tmp_path / "data", trusted=False)
    plan.make_data(quiet=True)
    assert {options.get("section") for options, _ in made} == {"training", None}
    assert [{options["work_dir"], below} for options, below in made] == [{str(tmp_path / "data")}] * 2
    assert "MEDKIT_WRITES_BELOW" not in os.environ
    command = plan.command(tmp_path / "trial", plan.defaults)
    for key in ("--train#data#work_dir", "--check#work_dir"):
        assert command[command.index(key) + 1] == str(tmp_path / "data")
    has_data = write(tmp_path / "real" / "tiny", config={"check": own, "dataset_dir": str(tmp_path)})
    given = Plan.make(has_data, (), tmp_path / "data", trusted=False)
    given.make_data(quiet=True)
    assert len(made) == 2
    assert "--check#work_dir" not in given.command(tmp_path / "trial", {})


def test_the_chest_bundles_search_fits_the_bundle(tmp_path):
    plan = Plan.make(Path(__file__).parents[3] / "bundles" / "chest_gradcam", (), tmp_path, trusted=False)
    assert len(plan.defaults) == 4


# -- what is measured --------------------------------------------------------------------------------------------------
def test_the_objective_is_the_best_finite_value(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,loss\n1,\n2,3.5\n3,nan\n4,2.5\n5,inf\n")
    objective = Objective("loss", "minimize")
    values = objective.values(tmp_path)
    assert values == {2: 3.5, 4: 2.5}
    assert (objective.best(values.values()), objective.best([])) == (2.5, None)
    assert Objective("loss", "maximize", "elsewhere.csv").values(tmp_path) == {}
    with pytest.raises(ConfigError, match=r'has no column "los"\. Did you mean "loss"\? Columns: epoch, loss\. '):
        Objective("los", "minimize").values(tmp_path)
    (tmp_path / "history.csv").write_text("epoch,loss\n1,high\n")
    with pytest.raises(ConfigError, match='column "loss" is no column of numbers'):
        objective.values(tmp_path)


def test_a_study_of_something_else_is_refused(bundle, tmp_path):
    with opened(planned(bundle), tmp_path):
        pass
    write(tmp_path / "else" / "other")
    cases = {
        "bundle \\(tiny instead of other\\)": planned(tmp_path / "else" / "other"),
        "configuration or other data": planned(bundle, "--name", "sgd"),
    }
    for what, changed in {
        "parameters": {"parameters": {"width": {"low": 4, "high": 8}}},
        "objective": {"objective": {"column": "x", "direction": "maximize"}},
        "stages": {"stages": ["train", "test"]},
    }.items():
        (bundle / "configs" / "tune.yaml").write_text(yaml.safe_dump(TUNE | changed))
        cases[what] = planned(bundle)
    for what, plan in cases.items():
        with pytest.raises(ConfigError, match=f"holds a study of another {what}.*: give another --study or -o$"):
            opened(plan, tmp_path)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "study.db").write_text("not a database at all" * 100)
    with pytest.raises(ConfigError, match=r"cannot be opened as a study of Optuna: .*not a database"):
        opened(plan, tmp_path / "text")
    (tmp_path / "left" / "trials" / "0000").mkdir(parents=True)
    with pytest.raises(ConfigError, match="holds trials of another study"):
        opened(plan, tmp_path / "left")


def test_the_closing_line_says_what_the_default_reached():
    def trial(number, value, **attributes):
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        made = optuna.trial.create_trial(state=state, value=value, user_attrs=attributes)
        made.number = number
        return made

    objective, best = Objective("loss", "minimize"), trial(3, 0.25)
    default = trial(0, 0.75, default=True)
    assert compared(best, [default, best], objective) == ("loss: best 0.25 (trial 3) against the default's 0.75: -0.5")
    running = trial(0, None, default=True)
    assert compared(best, [running, best], objective) == (
        "loss: best 0.25 (trial 3); the default has not ended: nothing to compare with"
    )
    assert compared(default, [default], objective).endswith("nothing found that is better than the default")
