"""Files appear whole or not at all."""

import pytest

from medkit.files import sha256, whole, write_json


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")

    def write_and_fail():
        with whole(file) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    write_json(tmp_path / "a.json", {"a": 1})
    assert len(sha256(tmp_path / "a.json")) == 64
