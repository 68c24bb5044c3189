"""Means by hand, joined by file; tables that do not fit are named."""

import numpy as np
import pytest

import medkit
from medkit.errors import ConfigError, DataError
from medkit.tables import read_csv, write_csv

COLUMNS = [
    *("file", "status", "reason", "synthetic", "synthetic_model"),
    *("probability_a", "probability_b", "present_a", "present_b", "label_a", "label_b"),
]


def row(file, a, b, **other):
    label = {"label_a": 1, "label_b": 0}
    return {"file": file, "status": "ok", "reason": "", "synthetic": 0, "probability_a": a, "probability_b": b} | (
        label | {"present_a": int(a != "" and a >= 0.5), "present_b": 0} | other
    )


@pytest.fixture
def table(tmp_path):
    def written(name, rows, columns=COLUMNS):
        write_csv(tmp_path / name / "predictions.csv", columns, rows)
        return str(tmp_path / name / "predictions.csv")

    return written


def merge(files, tmp_path, **options):
    merger = medkit.handler("merge_predictions", files=files, output=str(tmp_path / "out.csv"), **options)
    return read_csv(merger.run())


def test_probabilities_are_averaged_by_file_in_the_first_tables_order(table, tmp_path):
    one = table("m1", [row("x", 0.2, 0.8), row("y", 0.9, 0.1, synthetic=1)])
    two = table("m2", [row("y", 0.5, 0.5), row("x", 0.4, 0.6)])
    three = table("m3", [row("x", 0.3, 0.4), row("y", 0.1, 0.3, synthetic_model=1)])
    rows = merge([one, str(tmp_path / "m[23]" / "predictions.csv")], tmp_path)
    assert [r["file"] for r in rows] == ["x", "y"]
    np.testing.assert_allclose([float(rows[0]["probability_a"]), float(rows[0]["probability_b"])], [0.3, 0.6])
    np.testing.assert_allclose([float(rows[1]["probability_a"]), float(rows[1]["probability_b"])], [0.5, 0.3])
    assert [rows[0]["present_a"], rows[0]["present_b"]] == ["0", "1"]
    assert (rows[0]["synthetic"], rows[1]["synthetic"], rows[1]["synthetic_model"]) == ("0", "1", "1")
    assert [r["label_a"] for r in rows] == ["1", "1"]
    assert list(rows[0]) == [*COLUMNS, "format"]
    assert {r["format"] for r in rows} == {"medkit-predictions/1"}
    assert merge([one, two, three], tmp_path) == rows


@pytest.mark.parametrize("copies", [("/run1/p", "/run2/p"), ("/run1/p", "C:\\run2\\p")])
def test_runs_with_their_own_copies_of_the_data_are_joined_by_the_ends_of_paths(table, tmp_path, copies):
    names = ["left/x.png", "left/y.png", "right/x.png"]
    files = [[f"{copy}/{name}" for name in names] for copy in copies]
    one = table("m1", [row(file, 0.1 * n, 0.9) for n, file in enumerate(files[0])])
    two = table("m2", [row(file, 0.2 * n, 0.9) for n, file in reversed(list(enumerate(files[1])))])
    rows = merge([one, two], tmp_path)
    assert [r["file"] for r in rows] == files[0]
    np.testing.assert_allclose([float(r["probability_a"]) for r in rows], [0, 0.15, 0.3])
    short = table("m3", [row(file, 0.2, 0.9) for file in files[1][:2]])
    with pytest.raises(DataError, match=r"m3/predictions.csv lacks right/x.png, which .*m1/predictions.csv has"):
        merge([one, short], tmp_path)


def test_a_path_that_looks_like_a_pattern_is_a_path(table, tmp_path):
    files = [table(name, [row("x", 0.2, 0.8)]) for name in ("run [1]", "run 2")]
    assert len(merge(files, tmp_path)) == 1


def test_multilabel_keeps_every_finding_from_one_half_and_multiclass_one(table, tmp_path):
    files = [table(name, [row("x", 0.6, 0.7), row("y", 0.2, 0.3)]) for name in ("m1", "m2")]
    assert [(r["present_a"], r["present_b"]) for r in merge(files, tmp_path)] == [("1", "1"), ("0", "0")]
    one_each = merge(files, tmp_path, label_mode="multiclass")
    assert [(r["present_a"], r["present_b"]) for r in one_each] == [("0", "1"), ("0", "1")]


def test_what_one_model_could_not_assess_has_no_probability(table, tmp_path):
    broken = row("x", "", "", status="error", reason="no image")
    rows = merge([table("m1", [row("x", 0.2, 0.8)]), table("m2", [broken])], tmp_path)
    assert (rows[0]["status"], rows[0]["reason"], rows[0]["probability_a"]) == ("error", "no image", "")


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ([row("x", 0.1, 0.2)], r"m2/predictions.csv lacks y, which .*m1/predictions.csv has"),
        ([row("x", 0.1, 0.2), row("y", 0.1, 0.2), row("z", 0.1, 0.2)], r"m1/predictions.csv lacks z"),
        ([row("x", 0.1, 0.2), row("x", 0.1, 0.2), row("y", 0.1, 0.2)], r"holds x twice"),
        ([row("x", 0.1, 0.2, label_a=0), row("y", 0.1, 0.2)], r"x has other labels in .*m2"),
        (
            [row("x", 0.1, 1.2), row("y", 0.1, 0.2)],
            r'gives x the probability_b "1.2", a number from 0 to 1 was',
        ),
        ([row("x", 0.1, float("nan")), row("y", 0.1, 0.2)], r'gives x the probability_b "nan"'),
        ([], r"m2/predictions.csv has no rows"),
    ],
)
def test_tables_that_do_not_fit_are_named(table, tmp_path, second, message):
    files = [table("m1", [row("x", 0.2, 0.8), row("y", 0.2, 0.8)]), table("m2", second)]
    with pytest.raises(DataError, match=message):
        merge(files, tmp_path)
    assert not (tmp_path / "out.csv").exists()


def test_other_findings_are_refused(table, tmp_path):
    other = table("m2", [{"file": "x", "status": "ok", "reason": "", "probability_c": 0.1}],
                  ["file", "status", "reason", "probability_c"])  # fmt: skip
    with pytest.raises(DataError, match=r"m2/predictions.csv has the findings \['c'\]"):
        merge([table("m1", [row("x", 0.2, 0.8)]), other], tmp_path)


def test_one_table_is_no_ensemble(table, tmp_path):
    one = table("m1", [row("x", 0.2, 0.8)])
    with pytest.raises(ConfigError, match="two tables or more"):
        merge([one, one], tmp_path)
    with pytest.raises(ConfigError, match=r"nowhere.csv is not there"):
        merge([one, str(tmp_path / "nowhere.csv")], tmp_path)
    with pytest.raises(ConfigError, match='Did you mean "multiclass"'):
        merge([one, one], tmp_path, label_mode="multi-class")
