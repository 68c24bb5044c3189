import json

import pytest
from click.testing import CliRunner

from medkit.cli import cli
from medkit.errors import DataError
from medkit.testing import CommandConformance


class TestContract(CommandConformance):
    component = "scores"


def test_every_score_is_a_line(tmp_path):
    score = {"value": 0.9, "low": 0.85, "high": 0.95, "n": 40}
    metrics = {"auroc": {"macro": score, "Mass": {"value": None, "low": None, "high": None, "n": 0}}, "images": 40}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    lines = CliRunner().invoke(cli, ["scores", str(tmp_path)]).output.splitlines()
    assert [line.split() for line in lines] == [
        ["auroc", "macro", "0.900", "[0.850,", "0.950]", "n=40"],
        ["auroc", "Mass", "-", "[-,", "-]", "n=0"],
    ]


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(DataError, match="give the folder of a run"):
        CliRunner().invoke(cli, ["scores", str(tmp_path)], catch_exceptions=False)
