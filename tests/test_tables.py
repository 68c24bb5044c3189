"""CSV files survive any text."""

import csv

from hypothesis import given
from hypothesis import strategies as st

from medkit.tables import guarded, read_csv, unguarded, write_csv

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(TEXT)
def test_guarded_text_is_a_number_or_no_formula_and_comes_back(text):
    shown = guarded(text)
    assert unguarded(shown) == text
    if shown.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        float(shown)


def test_any_file_name_survives_the_table(tmp_path):
    names = ["=cmd|' /C calc'!A0", 'a,b"c\nd.png', "\udcff\udcfe.png", "'@x", "ä\u202e.png", ""]
    write_csv(tmp_path / "t.csv", ["file", "n"], [{"file": name, "n": -1} for name in names])
    assert [row["file"] for row in read_csv(tmp_path / "t.csv")] == names
    with (tmp_path / "t.csv").open(newline="", errors="surrogateescape", encoding="utf-8") as stream:
        assert next(iter(csv.DictReader(stream)))["n"] == "-1"


def test_rows_come_back_and_no_file_has_none(tmp_path):
    write_csv(tmp_path / "deep" / "a.csv", ["x", "y"], [{"x": 1, "y": "a,b\n"}])
    write_csv(tmp_path / "deep" / "a.csv", ["x", "y"], read_csv(tmp_path / "deep" / "a.csv"))
    assert read_csv(tmp_path / "deep" / "a.csv") == [{"x": "1", "y": "a,b\n"}]
    assert read_csv(tmp_path / "none.csv") == []
