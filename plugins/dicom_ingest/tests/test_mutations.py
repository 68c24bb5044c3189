"""A short run of benchmarks/mutated_files.py: damaged files among valid ones, through `medkit ingest`."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random

from PIL import Image

from .mutations import CHANGES, bitmap, mutated, seeds, with_checksums

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "mutated_files.py"


def test_300_damaged_files_cost_nothing_but_themselves(tmp_path):
    report = tmp_path / "report.json"
    command = [sys.executable, str(BENCHMARK), "--count", "300", "--seed", "3", "--workers", "1", "--out", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(report.read_text(encoding="utf-8"))
    assert figures["mutated"] + figures["neighbours"] > 300
    assert figures["neighbours"] == 30
    assert figures["images"] > 30
    assert len(figures["codes"]) > 4


def test_the_same_seed_gives_the_same_damage_and_no_seed_two_files():
    valid = seeds()
    assert len(set(valid.values())) == len(valid)
    contents = list(valid.values())[::40]
    copies = [[mutated(content, contents[0], Random(7)) for content in contents] for _ in range(2)]
    assert copies[0] == copies[1]
    assert sum(copy != content for copy, content in zip(copies[0], contents)) > 0.9 * len(contents)


def test_every_kind_of_damage_changes_something():
    content = seeds()["DICOM: by hand"]
    for change in CHANGES:
        assert any(change(content, content[::-1], Random(seed)) != content for seed in range(5)), change.__name__


def test_a_png_gets_its_checksums_back(write):
    content = bitmap("PNG")
    assert with_checksums(content) == content
    grey = content.replace(b"IHDR" + content[16:20], b"IHDR\0\0\0\x30", 1)
    with Image.open(write(with_checksums(grey))) as image:
        assert image.width == 48
