"""Every finding from its own table, cell by cell; tables that do not fit are named."""

import random

import pytest

import medkit
from medkit.errors import ConfigError, DataError
from medkit.tables import read_csv, write_csv

FINDINGS = ["Mass", "Hernia", "Edema"]
FILES = [f"image{n}.png" for n in range(6)]


def cells(files, findings, seed, **other):
    """Return a model's rows, in an order of its own."""
    draw = random.Random(seed)
    rows = []
    for file in draw.sample(files, len(files)):
        row = {"file": file, "status": "ok", "reason": "", "synthetic": 0, "synthetic_model": 0}
        for name in findings:
            probability = draw.random()
            row |= {f"probability_{name}": f"{probability:.6g}", f"present_{name}": int(probability > 0.3)}
            row[f"label_{name}"] = draw.choice([0, 1, ""])
        rows.append(row | other.get(file, {}))
    return rows


@pytest.fixture
def table(tmp_path):
    def written(name, findings, seed=0, files=FILES, **other):
        rows = cells(files, findings, seed, **other)
        write_csv(tmp_path / name / "predictions.csv", list(rows[0]), rows)
        return str(tmp_path / name / "predictions.csv")

    return written


def join(files, tmp_path, findings=FINDINGS):
    output = str(tmp_path / "out.csv")
    return read_csv(medkit.handler("join_findings", files=files, findings=findings, output=output).run())


def test_each_finding_has_the_cells_of_its_own_table(table, tmp_path):
    paths = [table("one/a", ["Edema"], 1), table("one/b", ["Mass", "Hernia"], 2)]
    rows = join(str(tmp_path / "one" / "*" / "predictions.csv"), tmp_path)
    sources = {"Edema": paths[0], "Mass": paths[1], "Hernia": paths[1]}
    by_file = {name: {row["file"]: row for row in read_csv(path)} for name, path in sources.items()}
    assert [row["file"] for row in rows] == list(by_file["Edema"])
    assert [row["file"] for row in rows] != list(by_file["Mass"])
    groups = ("probability", "present", "label")
    assert list(rows[0])[5:-1] == [f"{group}_{name}" for group in groups for name in FINDINGS]
    assert {row["format"] for row in rows} == {"medkit-predictions/1"}
    for row in rows:
        for column in list(row)[5:-1]:
            assert row[column] == by_file[column.split("_")[1]][row["file"]][column]


def test_what_one_model_could_not_assess_keeps_its_labels_and_the_reason(table, tmp_path):
    broken = {"status": "not_assessed", "reason": "lateral view", "probability_Mass": "", "present_Mass": ""}
    files = [table("a", ["Edema", "Hernia"]), table("b", ["Mass"], **{"image3.png": broken})]
    row = next(row for row in join(files, tmp_path) if row["file"] == "image3.png")
    first = next(row for row in read_csv(files[0]) if row["file"] == "image3.png")
    assert (row["status"], row["reason"]) == ("not_assessed", "lateral view")
    assert {row[f"{group}_{name}"] for group in ("probability", "present") for name in FINDINGS} == {""}
    assert row["label_Edema"] == first["label_Edema"]


def test_one_synthetic_model_makes_a_synthetic_row(table, tmp_path):
    files = [table("a", ["Edema", "Hernia"]), table("b", ["Mass"], **{"image1.png": {"synthetic_model": 1}})]
    marked = {row["file"]: row["synthetic_model"] for row in join(files, tmp_path)}
    assert {file for file, mark in marked.items() if mark == "1"} == {"image1.png"}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([("a", ["Edema", "Mass"]), ("b", ["Mass", "Hernia"])], r"Mass is in .*a/predictions.csv and in .*b/pred"),
        ([("a", ["Edema"])], "none of 1 tables has Mass, Hernia: run the stages"),
        ([("a", ["Edema"]), ("b", ["Mas", "Hernia"])], r'b/predictions.csv has "Mas", .* Did you mean "Mass"'),
        ([("a", ["Edema"]), ("b", ["Mass", "Hernia"], 0, FILES[1:])], r"b/predictions.csv lacks image0.png, which"),
        ([("a", ["Edema"]), ("b", ["Mass", "Hernia"], 0, [*FILES, "x"])], r"a/predictions.csv lacks x, which"),
        ([("a", ["Edema"]), ("b", ["Mass", "Hernia"], 0, [*FILES, "x", "x"])], "holds x twice"),
    ],
)
def test_tables_that_do_not_fit_are_named(table, tmp_path, tables, message):
    with pytest.raises(DataError, match=message):
        join([table(*given) for given in tables], tmp_path)
    assert not (tmp_path / "out.csv").exists()


def test_a_probability_that_is_none_is_named(table, tmp_path):
    other = table("b", ["Mass", "Hernia"], **{"image2.png": {"probability_Mass": "1.5"}})
    with pytest.raises(DataError, match=r'b/predictions.csv gives image2.png the probability_Mass "1.5"'):
        join([table("a", ["Edema"]), other], tmp_path)


def test_wrong_options_are_named(table, tmp_path):
    with pytest.raises(ConfigError, match="findings has Mass twice"):
        join(table("a", ["Mass"]), tmp_path, ["Mass", "Mass"])
    with pytest.raises(ConfigError, match=r"join_findings: .*nowhere.csv is not there"):
        join(str(tmp_path / "nowhere.csv"), tmp_path)
    with pytest.raises(ConfigError, match="files is empty"):
        join([], tmp_path)
