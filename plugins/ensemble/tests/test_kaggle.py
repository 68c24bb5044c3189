"""Kaggle's tables: read, mixed with predictions.csv by id, written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medkit_ensemble.kaggle import image_id

import medkit
from medkit.errors import ConfigError, DataError
from medkit.tables import read_csv, write_csv


@pytest.fixture
def kaggle(tmp_path):
    def written(name, text, header="Id,Predicted\n"):
        (tmp_path / name).write_text(header + text)
        return str(tmp_path / name)

    return written


def merge(files, tmp_path, **options):
    options = {"method": "union", **options}
    return medkit.handler("merge_predictions", files=files, output=str(tmp_path / "out.csv"), **options).run()


@pytest.mark.parametrize(
    ("file", "known"),
    [
        ("/data/test/00070df0-bbc3-11e8_green.png", "00070df0-bbc3-11e8"),
        ("00070df0-bbc3-11e8_BLUE.tif", "00070df0-bbc3-11e8"),
        ("a_red", "a"),
        ("scan.v2_yellow.jpeg", "scan.v2"),
        ("evergreen.png", "evergreen"),
        ("1.2.840.113619", "1.2.840.113619"),
        ("1.2.840.113619.dcm", "1.2.840.113619"),
        ("plain", "plain"),
    ],
)
def test_an_id_is_the_files_name_without_folder_suffix_and_colour(file, known):
    assert image_id(file) == known


def test_submissions_are_united_and_voted_on_by_id_whatever_the_order_of_rows_and_classes(kaggle, tmp_path):
    files = [
        kaggle("a.csv", "x,16 0\ny,\nz,3\n"),
        kaggle("b.csv", "z,3 1\nx,0\ny,2\n"),
        kaggle("c.csv", "y,2\nx,5\nz,1 3\n"),
    ]
    assert merge(files, tmp_path, kaggle=True).read_text() == "Id,Predicted\nx,0 5 16\ny,2\nz,1 3\n"
    assert merge(files, tmp_path, kaggle=True, method="vote").read_text() == "Id,Predicted\nx,0\ny,2\nz,1 3\n"
    rows = read_csv(merge(files, tmp_path, method="vote"))
    assert [row["file"] for row in rows] == ["x", "y", "z"]
    assert rows[0]["format"] == "medkit-predictions/1"
    assert (rows[0]["probability_16"], rows[0]["present_16"]) == ("0.333333", "0")
    assert (rows[2]["probability_3"], rows[2]["present_3"]) == ("1", "1")
    assert "probability_17" not in rows[0]


@settings(max_examples=20)
@given(st.lists(st.lists(st.sets(st.integers(0, 27)), min_size=4, max_size=4), min_size=2, max_size=4))
def test_a_union_of_submissions_is_the_union_of_their_sets(tmp_path_factory, given_sets):
    folder = tmp_path_factory.mktemp("union")
    for m, sets in enumerate(given_sets):
        rows = [{"Id": f"i{n}", "Predicted": " ".join(map(str, classes))} for n, classes in enumerate(sets)]
        write_csv(folder / f"{m}.csv", ["Id", "Predicted"], rows[m % 4 :] + rows[: m % 4])
    rows = read_csv(merge([str(folder / "[0-9].csv")], folder, kaggle=True))
    found = {row["Id"]: set(map(int, row["Predicted"].split())) for row in rows}
    assert found == {f"i{n}": set.union(*(sets[n] for sets in given_sets)) for n in range(4)}


def test_a_submission_joins_predictions_by_id_and_takes_their_class_names_and_columns(kaggle, write_table, tmp_path):
    files = ["/d/x_green.png", "/d/y_green.png"]
    table = write_table("m.csv", np.array([[0.7, 0.4], [0.2, 0.1]]), None, np.eye(2), files)
    submission = kaggle("k.csv", "y,1\nx,0\n")
    rows = read_csv(merge([submission, table], tmp_path))
    assert [row["file"] for row in rows] == files
    assert [(row["probability_c0"], row["probability_c1"]) for row in rows] == [("1", "0.4"), ("0.2", "1")]
    assert [(row["present_c0"], row["present_c1"]) for row in rows] == [("1", "0"), ("0", "1")]
    assert [row["label_c1"] for row in rows] == ["0", "1"]
    assert merge([submission, table], tmp_path, kaggle=True).read_text() == "Id,Predicted\nx,0\ny,1\n"


def test_predictions_become_a_submission_and_what_was_not_assessed_is_blank(write_table, tmp_path):
    good = write_table("a.csv", np.array([[0.9, 0.1, 0.9], [0.1, 0.9, 0.1]]), files=["p/x.png", "p/y.png"])
    whole = (tmp_path / "a.csv").read_text()
    broken = whole.replace("p/y.png,ok,,0.1,0.9,0.1,0,1,0", "p/y.png,error,no image,,,,,,")
    (tmp_path / "b.csv").write_text(broken)
    merger = medkit.handler(
        "merge_predictions", files=[good, str(tmp_path / "b.csv")], output=str(tmp_path / "o.csv"), kaggle=True
    )
    assert merger.run().read_text() == "Id,Predicted\nx,0 2\ny,\n"
    assert merger.notes == ["images without a class, since not every model assessed them: 1"]


def test_classes_name_the_numbers(kaggle, tmp_path):
    files = [kaggle("a.csv", "x,0\n"), kaggle("b.csv", "x,1\n")]
    (row,) = read_csv(merge(files, tmp_path, classes=["Nucleoplasm", "Nuclear membrane", "Nucleoli"]))
    assert [row[f"present_{name}"] for name in ("Nucleoplasm", "Nuclear membrane", "Nucleoli")] == ["1", "1", "0"]


@pytest.mark.parametrize(
    ("second", "options", "error", "message"),
    [
        ("x,0\n", {}, DataError, "b.csv lacks y, which .*a.csv has"),
        ("x,0\ny,0\nz,0\n", {}, DataError, "a.csv lacks z, which .*b.csv has"),
        ("x,0\nx,1\ny,0\n", {}, DataError, "b.csv holds x twice"),
        ("x,0\ny,zero\n", {}, DataError, 'b.csv gives y the class "zero": numbers from 0 to 999'),
        ("x,0\ny,-1\n", {}, DataError, 'gives y the class "-1"'),
        ("x,0\ny,28\n", {"classes": [f"c{n}" for n in range(28)]}, DataError, 'class "28": numbers from 0 to 27'),
        ("x,0\n,1\n", {}, DataError, "b.csv has a row without Id"),
        ("x,0\ny,1", {}, DataError, "b.csv is cut off in its last line"),
        ("", {}, DataError, "b.csv has no rows"),
        ("x,0\ny,0\n", {"method": "mean"}, ConfigError, "a.csv is in Kaggle's format, which has no prob"),
    ],
)  # fmt: skip
def test_submissions_that_do_not_fit_are_named(kaggle, tmp_path, second, options, error, message):
    files = [kaggle("a.csv", "x,0\ny,\n"), kaggle("b.csv", second)]
    with pytest.raises(error, match=message):
        merge(files, tmp_path, **options)
    assert not (tmp_path / "out.csv").exists()


def test_two_files_of_one_id_cannot_be_told_apart(kaggle, write_table, tmp_path):
    table = write_table("m.csv", np.full((2, 1), 0.9), files=["a/x.png", "b/x.png"])
    with pytest.raises(DataError, match=r"m.csv holds x twice"):
        merge([table, kaggle("k.csv", "x,0\n")], tmp_path)


def test_classes_are_refused_where_no_table_has_numbers(write_table, tmp_path):
    files = [write_table(name, np.full((2, 1), 0.9)) for name in ("a.csv", "b.csv")]
    with pytest.raises(ConfigError, match=r"a.csv has names: leave classes out"):
        merge(files, tmp_path, classes=["c0"])
