"""A stage repeats over values: names, placeholders, what follows what, and what the user may choose."""

import json
import shlex
from pathlib import Path

import pytest
import yaml

from medkit.bundle import Bundle
from medkit.check import check_bundle
from medkit.errors import ConfigError, DataError, TrustError
from medkit.request import Request
from medkit.runs import Run

CONFIG = {
    "bundle_root": ".",
    "output_dir": "$@bundle_root + '/out'",
    "model_dir": "@output_dir",
    "fold": 0,
    "loss": "bce",
    "part": "",
    "writer": {
        "_target_": "medkit.files.write_json",
        "path": "$@output_dir + '/' + @part + '/model.json'",
        "value": ["@fold", "@loss", "@part"],
    },
    "run": ["@writer"],
}
CLASSIFY = {
    "name": "classify",
    "title": "Classify",
    "config": ["train.yaml"],
    "for": {"fold": [0, 1]},
    "set": {"part": "c{fold}"},
    "makes": ["{part}/model.json"],
}
SEGMENT = {
    "name": "segment",
    "title": "Segment, fold {fold}, {loss}",
    "config": ["train.yaml", "{loss}.yaml"],
    "for": {"fold": [0, 1], "loss": ["bce", "dice"]},
    "set": {"part": "s{fold}/{loss}"},
    "needs": ["c{fold}/model.json"],
    "makes": ["{part}/model.json"],
}
TABLE = {
    "name": "table",
    "title": "Compare",
    "config": ["train.yaml", "table.yaml"],
    "needs": ["s{fold}/{loss}/model.json"],
    "makes": ["table/model.json"],
}


def write(folder: Path, stages: list[dict]) -> Path:
    configs = folder / "bundles" / "folds" / "configs"
    configs.mkdir(parents=True, exist_ok=True)
    (configs / "medkit.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (configs / "metadata.json").write_text(json.dumps({"version": "1.0", "name": "folds"}))
    (configs / "train.yaml").write_text(yaml.safe_dump(CONFIG))
    for loss in ("bce", "dice"):
        (configs / f"{loss}.yaml").write_text(yaml.safe_dump({"loss": loss, "note": f"for {loss}"}))
    (configs / "table.yaml").write_text(yaml.safe_dump({"part": "table"}))
    return configs.parent


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of two loops, the second inside the folds of the first, and a stage behind both."""
    return write(tmp_path, [CLASSIFY, SEGMENT, TABLE])


def plan(bundle: Path, runs: Path | None = None, **options) -> Run:
    return Run.plan(
        Request(Bundle.read(bundle), **{"trusted": True, "runs_dir": runs or bundle.parent / "runs", **options})
    )


def execute(bundle: Path, **options) -> tuple[Run, list[str]]:
    """Return the run, and the names of the stages that ran in it."""
    run = plan(bundle, **options)
    lines: list[str] = []
    run.execute(lines.append)
    done = {line.split("]")[0] for line in lines if line.endswith("done before")}
    return run, [s.name for s in run.stages if run.label(s).split("]")[0] not in done]


SEGMENTS = [f"segment[fold={fold},loss={loss}]" for fold in (0, 1) for loss in ("bce", "dice")]
ALL = ["classify[fold=0]", "classify[fold=1]", *SEGMENTS, "table"]


def test_each_combination_is_a_stage_with_its_values_in_its_configuration(bundle):
    run, ran = execute(bundle)
    assert ran == ALL
    for fold in (0, 1):
        for loss in ("bce", "dice"):
            made = run.output_dir / f"s{fold}" / loss / "model.json"
            assert json.loads(made.read_text()) == [fold, loss, f"s{fold}/{loss}"]
            name = f"segment[fold={fold},loss={loss}]"
            written = json.loads((run.output_dir / "configs" / f"{name}.json").read_text())
            assert (written["fold"], written["loss"], written["note"]) == (fold, loss, f"for {loss}")
            assert (run.output_dir / "receipts" / f"{name}.json").is_file()


def test_placeholders_are_filled_everywhere_and_needs_of_all_repetitions_are_found(bundle):
    stages = {stage.name: stage for stage in Bundle.read(bundle).stages}
    segment = stages["segment[fold=1,loss=dice]"]
    assert segment.title == "Segment, fold 1, dice"
    assert segment.config == ("train.yaml", "dice.yaml")
    assert segment.needs == ("c1/model.json",)
    assert segment.makes == ("s1/dice/model.json",)
    assert stages["table"].needs == tuple(f"s{f}/{loss}/model.json" for f in (0, 1) for loss in ("bce", "dice"))


@pytest.mark.parametrize(
    ("overrides", "ran"),
    [({"loss": "dice"}, ["table"]), ({"loss": None}, ["start", "table"]), ({}, ["start", "table"])],
)
def test_a_stage_is_left_out_where_an_override_stands_in_for_it(tmp_path, overrides, ran):
    start = {"name": "start", "title": "Start", "config": ["train.yaml"], "unless": "loss", "makes": ["model.json"]}
    bundle = write(tmp_path, [start, {**TABLE, "config": ["train.yaml", "table.yaml"], "needs": ["model.json"]}])
    assert execute(bundle, overrides=overrides)[1] == ran


def test_needs_are_those_of_repetitions_with_the_same_values(tmp_path):
    by_fold = {**TABLE, "for": {"fold": [0, 1]}, "set": {"part": "t{fold}"}, "makes": ["{part}/model.json"]}
    stages = Bundle.read(write(tmp_path, [CLASSIFY, SEGMENT, by_fold])).stages
    assert stages[-1].needs == ("s1/bce/model.json", "s1/dice/model.json")


def test_stages_are_chosen_by_some_of_their_values(bundle):
    read = Bundle.read(bundle)
    assert [stage.name for stage in read.named("segment[fold=1]")] == SEGMENTS[2:]
    assert [stage.name for stage in read.named("segment[loss=dice, fold=0]")] == [SEGMENTS[1]]
    assert [stage.name for stage in read.named("table")] == ["table"]
    with pytest.raises(ConfigError, match=r'no stage "segment\[loss=dcie\]"'):
        read.named("segment[loss=dcie]")


def test_several_values_of_a_loop_are_none_for_a_stage_without_it(bundle):
    assert plan(bundle, overrides={"fold": [0, 1]}).configs["table"]["fold"] == CONFIG["fold"]
    assert plan(bundle, overrides={"fold": 1}).configs["table"]["fold"] == 1


def test_a_value_that_fills_a_whole_text_keeps_its_type(tmp_path):
    stage = {**CLASSIFY, "set": {"part": "c{fold}", "loss": "{fold}"}}
    assert Bundle.read(write(tmp_path, [stage])).stages[1].set == {"fold": 1, "part": "c1", "loss": 1}


def test_the_dry_run_names_the_values(tmp_path):
    loops = {"for": {"fold": [0, 1], "loss": ["bce", "dice"]}, "set": {"part": "c{fold}/{loss}"}}
    lines = list(plan(write(tmp_path, [CLASSIFY | loops, TABLE | {"needs": []}])).dry_run())
    assert len(lines) == 5
    assert "--fold 0 --loss dice --part c0/dice" in lines[1]
    assert "--part" not in lines[-1]


def test_a_loop_that_chooses_a_config_file_need_not_be_a_key_of_it(tmp_path):
    stage = CLASSIFY | {"for": {"kind": ["bce", "dice"]}, "config": ["train.yaml", "{kind}.yaml"]}
    run = plan(write(tmp_path, [stage | {"set": {"part": "{kind}"}}]), overrides={"kind": "dice"})
    assert [stage.name for stage in run.stages] == ["classify[kind=dice]"]
    assert (run.configs["classify[kind=dice]"]["loss"], "kind" in run.configs["classify[kind=dice]"]) == ("dice", False)
    assert "--kind" not in next(iter(run.dry_run()))


@pytest.mark.parametrize(
    ("given", "folds"), [(1, [1]), ([1], [1]), ([1, 0], [1, 0]), ((5,), [5]), ([0, 0], [0]), ("a", ["a"])]
)
def test_the_user_chooses_the_values_of_a_loop(bundle, given, folds):
    run = plan(bundle, overrides={"fold": given})
    names = [f"classify[fold={fold}]" for fold in folds]
    names += [f"segment[fold={fold},loss={loss}]" for fold in folds for loss in ("bce", "dice")]
    assert [stage.name for stage in run.stages] == [*names, "table"]
    assert [run.configs[name]["fold"] for name in names[: len(folds)]] == folds
    assert run.stages[-1].needs == tuple(f"s{fold}/{loss}/model.json" for fold in folds for loss in ("bce", "dice"))


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({"stages": ("segment",)}, SEGMENTS),
        ({"stages": ("segment[fold=1,loss=bce]", "table")}, [SEGMENTS[2], "table"]),
        ({"from_stage": "segment"}, [*SEGMENTS, "table"]),
        ({"from_stage": "segment[fold=1,loss=dice]"}, [SEGMENTS[3], "table"]),
    ],
)
def test_a_stage_is_chosen_with_all_its_repetitions_or_one_of_them(bundle, options, chosen):
    assert [stage.name for stage in plan(bundle, **options).stages] == chosen


def test_a_changed_product_runs_its_stage_and_what_needs_it_but_no_sibling(bundle):
    run, _ = execute(bundle)
    assert execute(bundle)[1] == []
    (run.output_dir / "c1" / "model.json").unlink()
    assert execute(bundle)[1] == ["classify[fold=1]", SEGMENTS[2], SEGMENTS[3], "table"]
    (run.output_dir / "receipts" / f"{SEGMENTS[0]}.json").unlink()
    assert execute(bundle)[1] == [SEGMENTS[0], "table"]


def test_one_repetition_takes_over_what_an_earlier_run_made_alike(bundle):
    first, _ = execute(bundle)
    (bundle / "configs" / "table.yaml").write_text(yaml.safe_dump({"part": "table", "extra": 1}))
    other, ran = execute(bundle, stages=(SEGMENTS[3],))
    assert other.output_dir.resolve() != first.output_dir.resolve()
    assert ran == [SEGMENTS[3]]
    assert (other.output_dir / "c1" / "model.json").is_file()
    assert not (other.output_dir / "c0").exists()
    with pytest.raises(DataError, match=r'stage "segment\[fold=1,loss=dice\]" needs .*c1/model.json'):
        execute(bundle, runs=bundle / "runs", stages=(SEGMENTS[3],))


def test_the_audit_sees_what_repetitions_set(tmp_path):
    bundle = write(tmp_path, [{**CLASSIFY, "set": {"part": "$print({fold})"}}])
    with pytest.raises(TrustError, match=r"\$print\(0\)"):
        plan(bundle, trusted=False)
    assert any("$print(1)" in error for error in check_bundle(bundle).errors)


def test_a_key_that_only_a_loop_has_a_use_for_is_in_use(tmp_path):
    stage = CLASSIFY | {"for": {"note": ["x", "y"]}, "config": ["train.yaml", "bce.yaml"], "set": {"part": "{note}"}}
    errors = check_bundle(write(tmp_path, [stage])).errors
    assert "no stage uses the top-level keys model_dir: remove them" in errors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"for": {"fold": []}}, r'stage "classify" repeats over fold, which has no values'),
        ({"for": {"fold": ["a/b"]}}, r"repeats over fold: 'a/b' is not a number or a plain word"),
        ({"for": {"fold": [[1]]}}, r"repeats over fold: \[1\] is not a number or a plain word"),
        ({"for": ["fold"]}, r"for of a stage is a mapping of top-level keys to values, found \['fold'\]"),
        ({"set": {"train#fold": 1}}, r"set of a stage is a mapping of top-level keys"),
        ({"title": "Fold {fodl}"}, r'nothing fills "\{fodl\}" in "Fold \{fodl\}". Did you mean "fold"\? .*fold, part'),
        ({"needs": ["{loss}.pt"]}, r'nothing fills "\{loss\}" in "\{loss\}.pt"'),
        ({"set": {"part": "{part}"}}, r'nothing fills "\{part\}"'),
        ({"config": ["{fold}.yaml"]}, r'stage classify\[fold=0\] names config "0.yaml", which is not in'),
        ({"makes": ["model.pt"]}, r'"classify\[fold=0\]" and "classify\[fold=1\]" both make model.pt'),
        ({"on_input": True}, r"stage classify is on_input and cannot repeat"),
        ({"name": "a[b]"}, r"the name of a stage is one word, found 'a\[b\]'"),
    ],
)
def test_a_wrong_loop_is_one_line(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Bundle.read(write(tmp_path, [CLASSIFY | change]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "overrides", "message"),
    [
        ({"for": {"flod": [0]}, "set": {"part": "c"}, "makes": []}, {}, r'sets "flod", which train.yaml has not as'),
        (
            {"for": {"flod": [0]}, "set": {"part": "c"}, "makes": []},
            {},
            r'Did you mean "fold"\? Add it there .*flod: 0',
        ),
        ({"set": {"parts": "c"}, "makes": []}, {}, r'stage "classify" sets "parts", .* Did you mean "part"'),
        ({}, {"part": "x"}, r"override \"--part\": stage \"classify\[fold=0\]\" sets it to 'c0' itself; .*\(fold\)"),
        ({}, {"fold": []}, r"repeats over fold, which has no values"),
        ({}, {"fodl": 0}, r'override "--fodl" applies to no stage \(classify\). Did you mean "fold"'),
    ],
)
def test_what_the_configuration_has_not_cannot_be_repeated_over(tmp_path, change, overrides, message):
    bundle = write(tmp_path, [CLASSIFY | change])
    with pytest.raises(ConfigError, match=message):
        plan(bundle, overrides=overrides)


def test_text_that_reads_as_a_number_stays_text_in_the_command(tmp_path):
    run = plan(write(tmp_path, [CLASSIFY | {"set": {"part": "00{fold}", "loss": "1.5"}}]))
    words = shlex.split(next(iter(run.dry_run())))
    assert words[words.index("--loss") + 1] == "'1.5'"
    assert words[words.index("--fold") + 1] == "0"


def test_a_repetition_follows_what_it_needs_and_others_what_they_may_read(tmp_path):
    last = {"name": "report", "title": "Report", "config": ["train.yaml"]}
    run = plan(write(tmp_path, [{**last, "name": "prepare"}, CLASSIFY, SEGMENT, TABLE, last]))
    follows = {stage.name: run.follows(stage) for stage in run.stages}
    assert follows["classify[fold=1]"] == set()
    assert follows["segment[fold=1,loss=bce]"] == {"classify[fold=1]"}
    assert follows["table"] == set(SEGMENTS)
    assert follows["report"] == {"prepare", *ALL}
