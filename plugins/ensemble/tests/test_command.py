"""`medkit merge`: what it prints and writes, and one line where it cannot."""

import subprocess
import sys

import numpy as np
import pytest

from medkit import cli
from medkit.tables import read_csv

COMMAND = [sys.executable, "-m", "medkit.cli", "merge"]


def test_the_command_merges_two_tables_to_a_third_and_says_what_it_fitted(write_table, tmp_path):
    labels = np.tile([[1, 0], [0, 1]], (10, 1))
    good, bad = np.abs(labels - 0.2), np.abs(labels - 0.9)
    for part in ("t", "v"):
        files = [f"{part}{n}.png" for n in range(len(labels))]
        for name, said in (("good", good), ("bad", bad)):
            write_table(f"{part}_{name}.csv", said, None, labels, files)
    words = ["t_good.csv", "t_bad.csv", "-o", "merged.csv", "--method", "fitted", "--validation", "v_good.csv"]
    done = subprocess.run(
        [*COMMAND, *words, "--validation", "v_bad.csv"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "weight 1.000 of t_good.csv",
        "weight 0.000 of t_bad.csv",
        "log loss on 20 validation images 0.7985 → 0.2231",
        "merged.csv",
    ]
    rows = read_csv(tmp_path / "merged.csv")
    assert [row["probability_c0"] for row in rows[:2]] == ["0.8", "0.2"]
    assert rows[0]["format"] == "medkit-predictions/1"


@pytest.fixture
def medkit(capsys, monkeypatch, tmp_path):
    """Return a function that runs the command in the test's folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["medkit", "merge", *words])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return call


def test_submissions_are_merged_with_names(medkit, tmp_path):
    (tmp_path / "A.csv").write_text("Id,Predicted\nx,0\ny,1\n")
    (tmp_path / "B.csv").write_text("Id,Predicted\ny,\nx,1 0\n")
    assert medkit("A.csv", "B.csv", "-o", "C.csv", "--method", "union", "--kaggle") == (0, "C.csv\n", "")
    assert (tmp_path / "C.csv").read_text() == "Id,Predicted\nx,0 1\ny,1\n"
    assert medkit("A.csv", "B.csv", "-o", "D.csv", "--method", "vote", "--classes", "ER, Golgi")[0] == 0
    assert [row["present_Golgi"] for row in read_csv(tmp_path / "D.csv")] == ["0", "0"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("a.csv b.csv -o a.csv", "the output a.csv is one of the tables"),
        ("a.csv b.csv -o ./b.csv", "the output b.csv is one of the tables"),
        ("a.csv b.csv -o c.csv --method fitted", "fitted learns from labelled images"),
        ("a.csv b.csv -o c.csv --method mean --validation a.csv", "validation_files are for the method fitted"),
        ("a.csv k.csv -o c.csv", "k.csv is in Kaggle's format, which has no probabilities"),
        ("a.csv -o c.csv", "two tables or more were asked for, found a.csv"),
        ("a.csv ./a.csv -o c.csv", "two tables or more were asked for, found a.csv"),
        ("a.csv none.csv -o c.csv", "none.csv is not there"),
        ("a.csv empty.csv -o c.csv", "empty.csv has no rows"),
        ("a.csv text.csv -o c.csv", "text.csv is no predictions.csv"),
        ("a.csv cut.csv -o c.csv", "cut.csv is cut off in its last line"),
        ("a.csv short.csv -o c.csv", "short.csv lacks image1.png, which a.csv has"),
        ("a.csv newer.csv -o c.csv", 'newer.csv has the format "medkit-predictions/2", this medkit reads "medkit-pred'),
        ("a.csv folder -o c.csv", "folder cannot be read"),
        ("a.csv b.csv -o folder", "the output folder is a folder: name a file"),
    ],
)
def test_what_cannot_be_merged_is_one_line(medkit, write_table, tmp_path, words, message):
    said = np.array([[0.9], [0.1]])
    for name, more in (
        ("a", {}),
        ("b", {"format": "medkit-predictions/1"}),
        ("newer", {"format": "medkit-predictions/2"}),
    ):
        write_table(f"{name}.csv", said, **more)
    whole = (tmp_path / "a.csv").read_text()
    (tmp_path / "cut.csv").write_text(whole[:-4])
    (tmp_path / "short.csv").write_text("".join(whole.splitlines(keepends=True)[:-1]))
    (tmp_path / "empty.csv").touch()
    (tmp_path / "text.csv").write_text("no\ntable\n")
    (tmp_path / "k.csv").write_text("Id,Predicted\nimage0,0\nimage1,0\n")
    (tmp_path / "folder").mkdir()
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.csv")}
    code, out, err = medkit(*words.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.csv")} == before
