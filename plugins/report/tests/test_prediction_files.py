import csv
import gc
import json

import numpy as np
import pytest
import torch
from ignite.engine import Events
from medkit_report.new_folder import NewFolder
from PIL import Image

import medkit
from medkit.errors import DataError

FINDINGS = ["Effusion", "Mass", "Nodule"]


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def written(samples, evaluator, tmp_path):
    out = tmp_path / "out"
    evaluator(samples, [medkit.handler("prediction_files", output_dir=str(out), findings=FINDINGS)]).run()
    return out


def test_every_file_has_its_row_in_input_order(written, samples):
    rows = rows_of(written / "predictions.csv")
    assert [row["file"] for row in rows] == [sample["image"] for sample in samples]
    assert [row["status"] for row in rows] == ["ok", "ok", "error", "ok", "ok"]
    assert rows[2]["reason"]
    assert {rows[2][f"probability_{name}"] for name in FINDINGS} == {""}
    assert {rows[2][f"present_{name}"] for name in FINDINGS} == {""}
    expected = torch.sigmoid(torch.tensor([30 / 255 * 4 - 2 - 0.9, 30 / 255 * 4 - 2]))
    found = [float(rows[0]["probability_Effusion"]), float(rows[0]["probability_Mass"])]
    assert found == pytest.approx(expected.tolist(), abs=1e-5)
    assert {row["synthetic"] for row in rows} == {"1"}
    assert [row["label_Effusion"] for row in rows] == ["0", "0", "", "1", "1"]


def test_a_box_has_millimetres_only_from_a_tag(written, samples):
    boxes = rows_of(written / "boxes.csv")
    assert boxes
    assert {box["file"] for box in boxes} <= {sample["image"] for sample in samples}
    assert boxes[0]["width_mm"] == f"{8 * 0.25:.1f}"
    assert boxes[0]["height_mm"] == f"{8 * 0.5:.1f}"
    assert boxes[0]["spacing_tag"] == "ImagerPixelSpacing"
    assert (boxes[0]["frame_rows"], boxes[0]["frame_columns"]) == ("32", "64")


def test_millimetres_follow_the_frame_when_it_is_not_the_files_own_size(samples, evaluator, tmp_path):
    sample = {**samples[-1], "frame_size": (64, 256)}  # twice the rows, four times the columns
    handler = medkit.handler("prediction_files", output_dir=str(tmp_path), findings=FINDINGS)
    evaluator([sample], [handler]).run()
    box = rows_of(tmp_path / "boxes.csv")[0]
    assert box["width_mm"] == f"{8 * 0.25 / 4:.1f}"
    assert box["height_mm"] == f"{8 * 0.5 / 2:.1f}"


def test_heat_maps_say_where_they_lie_and_never_carry_the_files_name(written, samples):
    records = json.loads((written / "heatmaps.json").read_text(encoding="utf-8"))
    assert {record["row"] for record in records} == {0, 1, 3, 4}  # the top finding where none is present
    for record in records:
        assert record["file"] == samples[record["row"]]["image"]
        assert record["unit_square_to_frame"] == pytest.approx([64, 0, 0, 32, 0, 0], abs=1e-9)
        with Image.open(written / record["png"]) as image:
            assert (image.mode, image.size, np.asarray(image).max()) == ("L", (6, 4), 255)
    assert all(path.stem.replace("_", "").isdigit() for path in (written / "heatmaps").iterdir())


def test_formulas_stay_text_and_come_back(samples, evaluator, tmp_path, monkeypatch):
    from medkit.tables import read_csv

    monkeypatch.chdir(tmp_path / "images")
    relative = [{**sample, "image": sample["image"].rsplit("/", 1)[1]} for sample in samples]
    handler = medkit.handler("prediction_files", output_dir=str(tmp_path), findings=FINDINGS, heatmaps=False)
    evaluator(relative, [handler]).run()
    assert rows_of(tmp_path / "predictions.csv")[1]["file"] == "'=1+cmd.png"
    assert read_csv(tmp_path / "predictions.csv")[1]["file"] == "=1+cmd.png"
    assert not (tmp_path / "heatmaps").exists()


def test_a_run_that_fails_leaves_the_earlier_files_alone(written, samples, evaluator):
    before = {path: path.read_bytes() for path in written.rglob("*") if path.is_file()}

    class Fails:
        calls = 0

        def __call__(self, sample):
            Fails.calls += 1
            if Fails.calls == 4:
                raise RuntimeError("out of memory")
            return sample

    handler = medkit.handler("prediction_files", output_dir=str(written), findings=FINDINGS)
    engine = evaluator(samples, [handler], post=[Fails()])
    with pytest.raises(RuntimeError):
        engine.run()
    del engine, handler
    gc.collect()
    assert {path: path.read_bytes() for path in written.rglob("*") if path.is_file()} == before


def test_a_run_that_ends_early_writes_nothing(samples, evaluator, tmp_path):
    handler = medkit.handler("prediction_files", output_dir=str(tmp_path / "out"), findings=FINDINGS)
    engine = evaluator(samples, [handler])
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: engine.terminate())
    with pytest.raises(DataError, match="2 of 5 samples"):
        engine.run()
    assert not (tmp_path / "out" / "predictions.csv").exists()


def test_a_handler_that_is_done_leaves_the_folder_of_the_next_one_alone(tmp_path):
    done, next_one = NewFolder(tmp_path / "masks"), NewFolder(tmp_path / "masks")
    done.start()
    done.finish([])
    next_one.start()
    del done
    gc.collect()
    assert next_one.beside.is_dir()
    next_one.finish([])
    assert (tmp_path / "masks").is_dir()
