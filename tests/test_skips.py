"""In CI as many tests may be skipped as `tests/allowed_skips.json` says, and not one more."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS = """
import unittest, pytest

@pytest.mark.parametrize("number", range({number}))
def test_of_the_rig(number):
    pytest.skip("no rig: the large one is elsewhere")

def test_of_a_part():
    raise unittest.SkipTest("not for this part")

def test_that_runs():
    pass
"""
ALLOWED = {"rig": 9, "no rig: the large one": 2, "medkit.testing": 1, "no network": 3}
"""A skip that the second reason tells of may not be counted under the first, of which more are allowed."""


@pytest.mark.parametrize(
    ("number", "processes", "ci", "code"), [(2, 2, True, 0), (3, 2, True, 1), (3, 0, True, 1), (3, 0, False, 0)]
)
def test_one_more_than_allowed_fails_in_ci_however_many_processes_run(tmp_path, number, processes, ci, code):
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "allowed_skips.json").write_text(json.dumps(ALLOWED))
    (tmp_path / "tests" / "test_some.py").write_text(TESTS.format(number=number))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(processes), "."]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")} | {"CI": str(ci).lower()}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    said = [line.strip() for line in done.stdout.splitlines() if " allowed: " in line]
    assert f"{number} of 2 allowed: no rig: the large one" in said
    assert "1 of 1 allowed: medkit.testing" in said
    fewer = [line for line in said if line.endswith("(lower it, if all tests ran)")]
    assert [line.partition(" allowed: ")[0] for line in fewer] == (["0 of 3", "0 of 9"] if ci else [])
