import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from medkit_report.charts import line, roc
from medkit_report.heatmaps import grey, unit_square_to_frame
from medkit_report.order import in_input_order
from medkit_report.rows import frame_spacing


@given(st.floats(0.01, 5), st.floats(0.01, 5), st.integers(1, 4096), st.integers(1, 4096), st.integers(1, 8))
def test_the_whole_frame_measures_what_the_whole_file_does(row_mm, column_mm, rows, columns, times):
    source = {"spacing_mm": [row_mm, column_mm], "spacing_tag": "PixelSpacing", "rows": rows, "columns": columns}
    frame = np.array([rows * times, 1024.0])
    spacing, tag = frame_spacing(source, frame)
    assert spacing * frame == pytest.approx([row_mm * rows, column_mm * columns])
    assert tag == "PixelSpacing"


@pytest.mark.parametrize("without", ["spacing_mm", "spacing_tag", "rows"])
def test_no_millimetres_without_a_tag_or_a_size(without):
    source = {"spacing_mm": [1, 1], "spacing_tag": "PixelSpacing", "rows": 3, "columns": 4}
    assert frame_spacing({k: v for k, v in source.items() if k != without}, np.array([3.0, 4.0])) == (None, "")


def test_a_flipped_and_cropped_input_lies_where_it_came_from():
    # Input of 10 × 20 pixels, flipped left to right, doubled, cropped at (5, 3).
    affine = torch.tensor([[-2.0, 0, 45], [0, 2.0, 3], [0, 0, 1]], dtype=torch.float64)
    a, b, c, d, e, f = unit_square_to_frame({"frame_affine": affine, "image": torch.zeros(1, 10, 20)})
    assert (e, f) == (45, 3)  # the map's upper left corner
    assert (a + c + e, b + d + f) == (5, 23)  # its lower right corner
    nowhere = {"frame_affine": torch.full((3, 3), torch.nan), "image": torch.zeros(1, 10, 20)}
    assert unit_square_to_frame(nowhere) is None


def test_grey_map_keeps_zero_and_its_maximum():
    assert np.asarray(grey(np.array([[-3.0, 0.0, 2.0, 4.0]]))).tolist() == [[0, 0, 128, 255]]
    assert np.asarray(grey(np.full((2, 3), -1.0))).max() == 0


def test_shares_of_several_processes_come_back_in_input_order(monkeypatch):
    import ignite.distributed as idist
    from ignite.engine import Engine

    engine = Engine(lambda engine, batch: None)
    engine.state.dataloader = type("Loader", (), {"dataset": range(5)})()
    shares = [[0, 3], [1, 4], [2, 0]]  # the last process was given the first sample to fill its share
    monkeypatch.setattr(idist, "get_world_size", lambda: 3)
    monkeypatch.setattr(idist, "all_gather", lambda rows: shares)
    assert in_input_order(engine, shares[0]) == [0, 1, 2, 3, 4]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=60))
def test_area_under_the_drawn_curve_is_the_auroc(pairs):
    from medkit.metrics import auroc

    labels, scores = (np.array(column, float) for column in zip(*pairs))
    curve = roc(labels, scores, scores > 4)
    expected = auroc(labels, scores)
    if curve is None:
        assert np.isnan(expected)
        return
    x, y = np.array(curve.points).T
    assert np.trapezoid(y, x) == pytest.approx(expected, abs=0.01)
    assert (curve.points[0], curve.points[-1]) == ((0, 0), (1, 1))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_every_point_lies_inside_its_axes(values):
    drawn = line("loss", range(1, len(values) + 1), values)
    for x, y in drawn.points:
        assert -1e-6 <= x <= 1 + 1e-6
        assert -1e-6 <= y <= 1 + 1e-6
    assert len(drawn.y_ticks) >= 2
