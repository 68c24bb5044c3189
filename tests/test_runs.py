"""Stages run once, in order, through MONAI; what changed runs again; what is wrong is one line."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from medkit import overrides
from medkit.bundle import Bundle
from medkit.errors import ConfigError, DataError, TrustError, root_cause
from medkit.request import Request
from medkit.runs import Run

COUNT = {
    "bundle_root": ".",
    "output_dir": "$@bundle_root + '/out'",
    "model_dir": "@output_dir",
    "dataset_dir": None,
    "value": 1,
    "writer": {"_target_": "medkit.files.write_json", "path": "$@output_dir + '/models/a.json'", "value": "@value"},
    "run": ["@writer"],
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of two stages that write small files; its target needs trust."""
    configs = tmp_path / "bundles" / "counting" / "configs"
    configs.mkdir(parents=True)
    stages = [
        {"name": "first", "title": "Write a", "config": ["first.yaml"], "makes": ["models/a.json"]},
        {
            "name": "second",
            "title": "Write b",
            "config": ["first.yaml", "second.yaml"],
            "needs": ["models/a.json"],
            "makes": ["b.json"],
            "on_input": True,
        },
    ]
    (configs / "medkit.yaml").write_text(yaml.safe_dump({"stages": stages, "on_input": {"value": 9}}))
    (configs / "metadata.json").write_text(json.dumps({"version": "1.0", "name": "counting"}))
    (configs / "first.yaml").write_text(yaml.safe_dump(COUNT))
    (configs / "second.yaml").write_text(yaml.safe_dump({"writer#path": "$@output_dir + '/b.json'", "note": 1}))
    return configs.parent


def execute(bundle: Path, runs: Path, **options) -> tuple[Run, list[str]]:
    options = {"trusted": True, "runs_dir": runs, **options}
    run = Run.plan(Request(Bundle.read(bundle), **options))
    lines: list[str] = []
    run.execute(lines.append)
    return run, lines


def test_stages_run_in_order_and_once(bundle, tmp_path):
    run, lines = execute(bundle, tmp_path / "runs")
    assert [line.split(":")[0] for line in lines[::2]] == ["[1/2] Write a", "[2/2] Write b"]
    assert json.loads((run.output_dir / "b.json").read_text()) == 1
    assert (tmp_path / "runs" / "counting" / "latest").resolve() == run.output_dir
    again, lines = execute(bundle, tmp_path / "runs")
    assert again.output_dir.resolve() == run.output_dir
    assert lines == ["[1/2] Write a: done before", "[2/2] Write b: done before"]


def test_a_changed_configuration_starts_a_new_run(bundle, tmp_path):
    run, _ = execute(bundle, tmp_path / "runs")
    other, _ = execute(bundle, tmp_path / "runs", overrides={"value": 2})
    assert other.output_dir != run.output_dir
    assert json.loads((other.output_dir / "models" / "a.json").read_text()) == 2
    assert json.loads((run.output_dir / "models" / "a.json").read_text()) == 1
    assert (tmp_path / "runs" / "counting" / "latest").resolve() == other.output_dir
    again, lines = execute(bundle, tmp_path / "runs")
    assert again.output_dir == run.output_dir
    assert all("done before" in line for line in lines)


@pytest.fixture
def numbers(bundle):
    """A bundle of three stages: ``one`` and ``two`` write a file each, ``table`` takes what there is."""
    configs = bundle / "configs"
    stages = [
        {
            "name": name,
            "title": name,
            "config": ["first.yaml", f"{name}.yaml"],
            "makes": [f"{name}/kept.json", f"{name}/*.json"],
        }
        for name in ("one", "two")
    ]
    stages.append({"name": "table", "title": "t", "config": ["first.yaml", "second.yaml"], "needs": ["*/kept.json"]})
    for name in ("one", "two"):
        run = [f"$@other and print('{name}')", "@writer"]
        other = {**COUNT["writer"], "path": f"$@output_dir + '/{name}/other.json'"}
        path = f"$@output_dir + '/{name}/kept.json'"
        (configs / f"{name}.yaml").write_text(yaml.safe_dump({"writer#path": path, "other": other, "run": run}))
    stages[2]["makes"] = ["b.json"]
    (configs / "medkit.yaml").write_text(yaml.safe_dump({"stages": stages}))
    return bundle


def test_a_stage_that_takes_what_there_is_runs_again_when_there_is_more(numbers, tmp_path):
    with pytest.raises(DataError, match=r'stage "table" needs .*\*/kept.json: run the stages before it'):
        execute(numbers, tmp_path / "runs", stages=("table",))
    execute(numbers, tmp_path / "runs", stages=("one", "table"))
    _, lines = execute(numbers, tmp_path / "runs", stages=("table",))
    assert lines == ["[1/1] t: done before"]
    execute(numbers, tmp_path / "runs", stages=("two",))
    _, lines = execute(numbers, tmp_path / "runs")
    assert [line.split(": ")[1] for line in lines if "done before" in line] == ["done before"] * 2
    assert lines[-1].startswith("[3/3] t: ")
    assert "done before" not in lines[-1]


def test_a_pattern_of_what_a_stage_makes_is_taken_over_whole(numbers, tmp_path):
    configs = numbers / "configs"
    stages = yaml.safe_load((configs / "medkit.yaml").read_text())
    stages["stages"][2]["needs"] = ["one/kept.json"]
    (configs / "medkit.yaml").write_text(yaml.safe_dump(stages))
    first, _ = execute(numbers, tmp_path / "runs", stages=("one",))
    assert (first.output_dir / "one" / "other.json").is_file()
    other, _ = execute(numbers, tmp_path / "runs", stages=("table",), overrides={"note": 2})
    assert other.output_dir != first.output_dir
    assert (other.output_dir / "one" / "other.json").is_file()


def test_anothers_model_gets_a_run_of_its_own(bundle, tmp_path):
    run, _ = execute(bundle, tmp_path / "runs")
    (tmp_path / "theirs" / "models").mkdir(parents=True)
    (tmp_path / "theirs" / "models" / "a.json").write_text("5")
    other, _ = execute(bundle, tmp_path / "runs", stages=("second",), model_dir=tmp_path / "theirs")
    assert other.output_dir != run.output_dir


def test_repetitions_that_are_asked_for_in_turn_share_a_folder(bundle, tmp_path):
    configs = bundle / "configs"
    stages = yaml.safe_load((configs / "medkit.yaml").read_text())
    stages["stages"][0] |= {"for": {"value": [1, 2]}, "makes": ["models/n{value}.json"], "set": {"name": "n{value}"}}
    stages["stages"] = stages["stages"][:1]
    (configs / "medkit.yaml").write_text(yaml.safe_dump(stages))
    writer = {**COUNT["writer"], "path": "$@output_dir + '/models/' + @name + '.json'"}
    (configs / "first.yaml").write_text(yaml.safe_dump({**COUNT, "name": "1", "note": 0, "writer": writer}))
    one, _ = execute(bundle, tmp_path / "runs", overrides={"value": 1})
    two, lines = execute(bundle, tmp_path / "runs", overrides={"value": [2, 3]})
    assert two.output_dir == one.output_dir
    assert not any("done before" in line for line in lines)
    _, lines = execute(bundle, tmp_path / "runs", overrides={"value": [1, 2, 3]})
    assert all("done before" in line for line in lines)
    other, _ = execute(bundle, tmp_path / "runs", overrides={"value": 1, "note": 5})
    assert other.output_dir != one.output_dir


def test_a_run_that_failed_is_not_the_latest_and_is_gone_on_with(bundle, tmp_path):
    run, _ = execute(bundle, tmp_path / "runs")
    given = tmp_path / "given.json"
    with pytest.raises(DataError, match="ended without writing"):
        execute(bundle, tmp_path / "runs", overrides={"value": 2, "writer#path": str(given)})
    failed = [f for f in (tmp_path / "runs" / "counting").iterdir() if f.resolve() != run.output_dir]
    assert (tmp_path / "runs" / "counting" / "latest").resolve() == run.output_dir
    with pytest.raises(DataError, match="ended without writing"):
        execute(bundle, tmp_path / "runs", overrides={"value": 2, "writer#path": str(given)})
    assert [f for f in (tmp_path / "runs" / "counting").iterdir() if f.resolve() != run.output_dir] == failed
    assert len(failed) == 1


def test_a_missing_or_changed_product_runs_its_stage_and_what_needs_it(bundle, tmp_path):
    run, _ = execute(bundle, tmp_path / "runs")
    (run.output_dir / "b.json").write_text("7")
    _, lines = execute(bundle, tmp_path / "runs")
    assert lines[0] == "[1/2] Write a: done before"
    assert json.loads((run.output_dir / "b.json").read_text()) == 1
    _, lines = execute(bundle, tmp_path / "runs", force=True)
    assert not any("done before" in line for line in lines)


def test_a_given_file_that_changed_runs_the_stages_that_name_it(bundle, tmp_path):
    given = tmp_path / "given.json"
    given.write_text("1")
    _, lines = execute(bundle, tmp_path / "runs", overrides={"value": str(given)})
    assert not any("done before" in line for line in lines)
    _, lines = execute(bundle, tmp_path / "runs", overrides={"value": str(given)})
    assert all("done before" in line for line in lines)
    given.write_text("2")
    _, lines = execute(bundle, tmp_path / "runs", overrides={"value": str(given)})
    assert not any("done before" in line for line in lines)


def test_a_stage_alone_continues_the_latest_run(bundle, tmp_path):
    with pytest.raises(DataError, match=r'stage "second" needs .*a.json'):
        execute(bundle, tmp_path / "runs", stages=("second",))
    run, _ = execute(bundle, tmp_path / "other")
    again, lines = execute(bundle, tmp_path / "other", stages=("second",), force=True)
    assert again.output_dir.resolve() == run.output_dir
    assert lines[0] == "[1/1] Write b"


def test_a_stage_alone_takes_over_what_an_earlier_run_made_alike(bundle, tmp_path):
    run, _ = execute(bundle, tmp_path / "runs")
    other, lines = execute(bundle, tmp_path / "runs", stages=("second",), overrides={"note": 2})
    assert other.output_dir != run.output_dir
    assert lines[0] == "[1/1] Write b"
    assert json.loads((other.output_dir / "models" / "a.json").read_text()) == 1


def test_a_stage_alone_takes_nothing_over_that_was_made_otherwise(bundle, tmp_path):
    execute(bundle, tmp_path / "runs")
    with pytest.raises(DataError, match=r'stage "second" needs .*a.json: run the stages before it'):
        execute(bundle, tmp_path / "runs", stages=("second",), overrides={"value": 2})


def test_an_untrusted_bundle_writes_in_its_run_folder_only(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("medkit.trust.require_trust", lambda audit: None)
    execute(bundle, tmp_path / "runs", trusted=False)
    elsewhere = {"writer#path": str(tmp_path / "elsewhere.json")}
    with pytest.raises(RuntimeError) as caught:  # MONAI's wrapper
        execute(bundle, tmp_path / "runs", trusted=False, overrides=elsewhere)
    assert isinstance(root_cause(caught.value), TrustError)
    assert "outside its run folder" in str(root_cause(caught.value))
    assert not (tmp_path / "elsewhere.json").exists()


def test_changed_data_start_a_new_run(bundle, tmp_path):
    (tmp_path / "data").mkdir()
    options = {"overrides": {"dataset_dir": str(tmp_path / "data")}}
    run, _ = execute(bundle, tmp_path / "runs", **options)
    (tmp_path / "data" / "new.png").write_bytes(b"x")
    other, _ = execute(bundle, tmp_path / "runs", **options)
    assert other.output_dir != run.output_dir


def test_a_folder_of_another_run_is_refused(bundle, tmp_path):
    execute(bundle, tmp_path / "runs", output_dir=tmp_path / "out")
    with pytest.raises(ConfigError, match=r"out holds a run of another configuration or other data"):
        execute(bundle, tmp_path / "runs", output_dir=tmp_path / "out", overrides={"value": 2})


def test_input_uses_the_newest_run_that_has_a_model(bundle, tmp_path):
    (tmp_path / "files").mkdir()
    with pytest.raises(ConfigError, match=r"no trained model: looked for models/a.json"):
        execute(bundle, tmp_path / "runs", input_dir=tmp_path / "files")
    run, _ = execute(bundle, tmp_path / "runs")
    for _ in range(2):
        on_input, _ = execute(bundle, tmp_path / "runs", input_dir=tmp_path / "files")
        assert on_input.model_dir == run.output_dir
        assert json.loads((on_input.output_dir / "b.json").read_text()) == 9
    assert (tmp_path / "runs" / "counting" / "latest").resolve() == run.output_dir
    assert (tmp_path / "runs" / "counting" / "latest_input").resolve() == on_input.output_dir


def test_input_takes_over_what_the_model_was_trained_with(bundle, tmp_path):
    medkit_yaml = bundle / "configs" / "medkit.yaml"
    stages = yaml.safe_load(medkit_yaml.read_text())["stages"]
    third = {"name": "third", "title": "Write c", "config": ["third.yaml"], "makes": ["c.json"], "on_input": True}
    medkit_yaml.write_text(yaml.safe_dump({"stages": [*stages, third], "on_input": {"note": 2}}))
    without = {key: value for key, value in COUNT.items() if key != "value"}
    without["writer"] = COUNT["writer"] | {"path": "$@output_dir + '/c.json'", "value": 1}
    (bundle / "configs" / "third.yaml").write_text(yaml.safe_dump(without))
    (tmp_path / "files").mkdir()
    (tmp_path / "data").mkdir()
    execute(bundle, tmp_path / "runs", overrides={"value": [7, "it's"], "dataset_dir": str(tmp_path / "data")})
    on_input, _ = execute(bundle, tmp_path / "runs", input_dir=tmp_path / "files")
    assert json.loads((on_input.output_dir / "b.json").read_text()) == [7, "it's"]
    assert on_input.configs["second"]["dataset_dir"] == str(tmp_path / "files")
    again, lines = execute(
        bundle, tmp_path / "runs", input_dir=tmp_path / "files", output_dir=on_input.output_dir, stages=("third",)
    )
    assert (again.identity, lines) == (on_input.identity, ["[1/1] Write c: done before"])
    other, _ = execute(bundle, tmp_path / "runs", input_dir=tmp_path / "files", overrides={"value": 3})
    assert json.loads((other.output_dir / "b.json").read_text()) == 3


def test_nothing_that_would_be_evaluated_is_taken_over_from_a_folder_that_may_be_a_strangers(bundle, tmp_path):
    run, _ = execute(bundle, tmp_path / "runs", overrides={"value": 7})
    for word in ("$__import__('os').getpid()", "@note", "{'_target_': 'os.getpid'}", "[['%other.yaml']]"):
        told = json.loads((run.output_dir / "run.json").read_text())
        (run.output_dir / "run.json").write_text(json.dumps({**told, "overrides": {"value": word}}))
        planned = Run.plan(
            Request(Bundle.read(bundle), input_dir=tmp_path, model_dir=run.output_dir, runs_dir=tmp_path, trusted=True)
        )
        assert planned.configs["second"]["value"] == 9


def test_the_dry_run_lines_give_the_same_files(bundle, tmp_path):
    run = Run.plan(Request(Bundle.read(bundle), {"value": 5}, trusted=True, runs_dir=tmp_path / "runs"))
    for line in run.dry_run():
        assert shlex.split(line)[1:5] == ["-m", "monai.bundle", "run", "--config_file"]
        subprocess.run(shlex.split(line), cwd=tmp_path, check=True, capture_output=True)
    assert json.loads((run.output_dir / "b.json").read_text()) == 5


def test_untrusted_code_does_not_run(bundle, tmp_path):
    with pytest.raises(TrustError, match=r"medkit.files.write_json"):
        execute(bundle, tmp_path / "runs", trusted=False)
    assert not (tmp_path / "runs").exists()


def test_a_stage_that_does_not_make_what_it_says_is_an_error(bundle, tmp_path):
    with pytest.raises(DataError, match=r'stage "first" ended without writing .*a.json'):
        execute(bundle, tmp_path / "runs", overrides={"writer#path": str(tmp_path / "elsewhere.json")})


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("valu", r'override "--valu" applies to no stage \(first, second\). Did you mean "value"'),
        ("writer#pth", r'override "--writer#pth": medkit.files.write_json has no option "pth". Did you mean "path"'),
        ("writter#path", r'applies to no stage .* Did you mean "writer#path"'),
        ("run#4", r"applies to no stage"),
    ],
)
def test_a_misspelt_override_is_answered_with_the_right_one(bundle, tmp_path, key, message):
    with pytest.raises(ConfigError, match=message):
        execute(bundle, tmp_path / "runs", overrides={key: 1})


def test_overrides_are_parsed_as_monai_parses_them():
    words = ["--a#b", "0.5", "--c=[1, 'x']", "--flag", "True", "--name", "no", "--n", "-1", "--d", "{'e': None}"]
    expected = {"a#b": 0.5, "c": [1, "x"], "flag": True, "name": "no", "n": -1, "d": {"e": None}}
    assert overrides.parse(words) == expected
    assert overrides.parse(["--a", "true", "--b", "false", "--c", "null"]) == {"a": True, "b": False, "c": None}
    for value in (True, None, "true", "null", "False", "a b", [1, "x"], 0.5):
        assert overrides.parse(["--a", overrides.word(value)]) == {"a": value}
    with pytest.raises(ConfigError, match=r'unexpected argument "x"'):
        overrides.parse(["x", "--a", "1"])
    for words in (["--max_epochs"], ["--max_epochs", "--seed", "1"]):
        with pytest.raises(ConfigError, match=r'"--max_epochs" needs a value'):
            overrides.parse(words)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("remove", r'no bundle ".*": the folder does not exist. Did you mean "counting"'),
        ("no stages file", r"has no configs/medkit.yaml"),
        ("stages: []", r"lists no stages"),
        ("stages: [{name: a, title: b, config: [none.yaml]}]", r'names config "none.yaml", which is not in'),
        ("stages: [{name: a, title: b, confg: [first.yaml]}]", r'unknown key "confg". Did you mean "config"'),
        ("stages: [{name: a}]", r"a stage needs name, title and config, found name"),
        ("stages: [", r"while parsing"),
    ],
)
def test_a_wrong_bundle_is_one_line(bundle, change, message):
    if change == "remove":
        target = bundle.with_name("countin")
    else:
        target = bundle
        stages = bundle / "configs" / "medkit.yaml"
        stages.unlink() if change == "no stages file" else stages.write_text(change)
    with pytest.raises(ConfigError, match=message) as caught:
        Bundle.read(target)
    assert "\n" not in str(caught.value)


def test_a_reference_that_leads_nowhere_is_one_line(bundle, tmp_path):
    file = bundle / "configs" / "first.yaml"
    file.write_text(file.read_text().replace("value: '@value'", "value: '@valeu'"))
    with pytest.raises(ConfigError, match='"@valeu" leads nowhere: there is no key valeu'):
        execute(bundle, tmp_path / "runs", stages=("first",))
