"""Tables of predictions: what cannot be right is named, and images are known again in another folder."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkit.errors import DataError
from medkit.predictions import LABEL, PRESENT, PROBABILITY, path_ends, read_predictions

HEADER = "file,status,reason,probability_a,probability_b,present_a,present_b,label_a,label_b,format"
ROWS = [
    "/p/1.png,ok,,0.25,1,0,1,0,1,medkit-predictions/1",
    "/p/2.png,ok,,0.5,0,1,0,,0,medkit-predictions/1",
    "/p/3.png,error,cannot be read,,,,,1,0,medkit-predictions/1",
]
TABLE = "\n".join([HEADER, *ROWS]) + "\n"


@pytest.fixture
def table(tmp_path):
    def written(text):
        (tmp_path / "p.csv").write_text(text, encoding="utf-8")
        return tmp_path / "p.csv"

    return written


def test_numbers_are_those_of_the_table_and_unknown_where_it_is_blank_or_the_image_was_not_assessed(table):
    read = read_predictions(table(TABLE))
    assert (read.files, read.findings()) == (["/p/1.png", "/p/2.png", "/p/3.png"], ["a", "b"])
    assert read.assessed.tolist() == [True, True, False]
    none = [np.nan, np.nan]
    np.testing.assert_array_equal(read.numbers(PROBABILITY, ["a", "b"], required=True), [[0.25, 1], [0.5, 0], none])
    np.testing.assert_array_equal(read.numbers(PRESENT, ["b", "a"]), [[1, 0], [0, 1], none])
    np.testing.assert_array_equal(read.numbers(LABEL, ["a", "b"]), [[0, 1], [np.nan, 0], none])


def test_a_table_that_is_older_than_versions_is_read(table):
    older = TABLE.replace(",format", "").replace(",medkit-predictions/1", "")
    assert read_predictions(table(older)).files == ["/p/1.png", "/p/2.png", "/p/3.png"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (TABLE, "", "p.csv has no rows: run the stage"),
        (TABLE, TABLE[:-1], "p.csv is cut off in its last line: make it again"),
        ("status", "state", 'p.csv has no column "status": give a predictions.csv'),
        ("/p/2", "/p/1", "p.csv holds /p/1.png twice: keep one"),
        (
            "predictions/1",
            "predictions/2",
            'the format "medkit-predictions/2", this medkit reads',
        ),
        (",probability_b", ",odds_b", 'p.csv has no column "probability_b": give predictions that have it'),
        ("0.25", "1.25", 'gives /p/1.png the probability_a "1.25", a number from 0 to 1 was asked for: run the stage'),
        ("0.25", "nan", 'the probability_a "nan", a number'),
        ("0.25", "high", 'the probability_a "high", a number'),
        ("0.25", "", 'the probability_a "", a number'),
        (",1,0,,0,", ",1,0,2,0,", 'gives /p/2.png the label_a "2", 0 or 1 was asked for'),
    ],
)
def test_what_cannot_be_right_is_one_line(table, old, new, message):
    assert old in TABLE

    def read():
        found = read_predictions(table(TABLE.replace(old, new)))
        return found.numbers(PROBABILITY, ["a", "b"], required=True), found.numbers(LABEL, ["a", "b"])

    with pytest.raises(DataError) as raised:
        read()
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.csv is not there: run the stage that makes it"):
        read_predictions(tmp_path / "nowhere.csv")


PATHS = st.lists(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join), min_size=1, max_size=8, unique=True
)


@given(PATHS, st.sampled_from(["", "/run/p/", "C:\\data\\p\\"]))
def test_ends_tell_files_apart_as_shortly_as_can_be_and_are_alike_in_another_folder(files, folder):
    moved = [folder + file for file in files]
    ends, others = path_ends([files, moved])
    assert len(set(ends)) == len(files)
    assert all(file.endswith(end) for file, end in zip(files, ends))
    assert path_ends([moved]) == [others]
    longest = max(end.count("/") + 1 for end in ends)
    shorter = ["/".join(file.split("/")[-(longest - 1) :]) for file in files]
    assert longest == 1 or len(set(shorter)) < len(files)
