"""P(j|i) and class counts image by image; the tables say what was counted."""

import numpy as np
import pytest
from medkit_exploration.plots import distribution_figure, heat_map_figure

import medkit
from medkit.errors import DataError
from medkit.tables import read_csv

FINDINGS = ["Mass", "Edema", "Hernia", "Fibrosis"]


def samples(images=80, seed=0, unknown=0.15):
    """Return samples without pixels: Fibrosis is never there, some labels are unknown, some samples have none."""
    random = np.random.default_rng(seed)
    labels = (random.random((images, 4)) < [0.4, 0.3, 0.1, 0]).astype(np.float32)
    labels[random.random(labels.shape) < unknown] = np.nan
    return [{"image": f"{n}.png", **({"label": row} if n % 10 else {})} for n, row in enumerate(labels)]


@pytest.fixture
def undrawn(monkeypatch):
    """Plots take most of the time and are drawn where they matter."""
    monkeypatch.setattr("medkit_exploration.label_statistics.save_figure", lambda figure, path, synthetic: None)


def statistics(folder, data, findings=FINDINGS):
    handler = medkit.handler("label_statistics", data=data, findings=findings, output_dir=str(folder))
    handler.run()
    return read_csv(folder / "co_occurrence.csv"), read_csv(folder / "class_distribution.csv")


@pytest.mark.parametrize("seed", range(5))
def test_co_occurrence_is_that_of_counting_image_by_image(tmp_path, undrawn, seed):
    data = samples(seed=seed)
    rows, _ = statistics(tmp_path, data)
    assert [row["given"] for row in rows] == FINDINGS
    for i, row in enumerate(rows):
        assert int(row["images"]) == sum(1 for s in data if "label" in s and s["label"][i] == 1)
        for j, name in enumerate(FINDINGS):
            both = of = 0
            for sample in data:
                label = sample.get("label")
                if label is None or np.isnan(label[i]) or np.isnan(label[j]) or label[i] != 1:
                    continue
                of += 1
                both += int(label[j] == 1)
            assert (int(row[f"both_{name}"]), int(row[f"of_{name}"])) == (both, of)
            assert row[name] == (f"{both / of:.6g}" if of else "")
    assert rows[3]["Mass"] == ""
    assert rows[0]["Mass"] == "1"


def test_the_share_is_given_the_row_not_the_column(tmp_path, undrawn):
    data = [{"image": "", "label": label} for label in ([1, 1], [1, 0], [1, 0], [1, 0], [0, 0])]
    rows, _ = statistics(tmp_path, data, ["Mass", "Edema"])
    assert (rows[0]["Edema"], rows[1]["Mass"]) == ("0.25", "1")


def test_each_section_is_counted_and_no_finding_is_a_class(tmp_path, undrawn):
    data = {"training": samples(seed=1), "test": samples(30, seed=2)}
    _, rows = statistics(tmp_path, data)
    assert [(row["section"], row["finding"]) for row in rows] == [
        (section, name) for section in data for name in [*FINDINGS, "no finding"]
    ]
    for row in rows:
        found = {"positive": 0, "negative": 0, "unknown": 0}
        for sample in data[row["section"]]:
            label = np.asarray(sample.get("label", [np.nan] * 4))
            if row["finding"] == "no finding":
                value = 0 if 1 in label else 1 if (label == 0).all() else np.nan
            else:
                value = label[FINDINGS.index(row["finding"])]
            found["unknown" if np.isnan(value) else "positive" if value else "negative"] += 1
        assert {key: int(row[key]) for key in found} == found
        assert sum(found.values()) == len(data[row["section"]])


def test_sections_count_together_in_co_occurrence(tmp_path, undrawn):
    one, two = samples(seed=1), samples(seed=2)
    assert statistics(tmp_path / "a", {"x": one, "y": two})[0] == statistics(tmp_path / "b", one + two)[0]


def test_equal_labels_make_equal_plots(tmp_path):
    data = samples()
    for name in ("a", "b"):
        statistics(tmp_path / name, data)
    for name in ("co_occurrence.png", "class_distribution.png"):
        first, second = ((tmp_path / folder / name).read_bytes() for folder in ("a", "b"))
        assert first == second
        assert first.startswith(b"\x89PNG")


def test_a_cell_of_the_heat_map_is_a_pair_of_the_table():
    share = np.array([[1.0, 0.25], [np.nan, 1.0]])
    axes = heat_map_figure(share, np.array([40, 0]), ["Mass", "Edema"]).axes[0]
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts == {(0, 0): "100", (1, 0): "25", (0, 1): "–", (1, 1): "100"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Mass (40)", "Edema (0)"]
    np.testing.assert_array_equal(axes.images[0].get_array().filled(-1), [[100, 25], [-1, 100]])


def test_a_bar_is_positive_unknown_and_negative_images():
    counts = {"training": np.array([[3, 5, 2], [0, 0, 10]])}
    panel = distribution_figure(counts, ["Mass", "no finding"]).axes[0]
    spans = [[(bar.get_x(), bar.get_width()) for bar in group] for group in panel.containers]
    assert spans == [[(0, 3), (0, 0)], [(3, 2), (0, 10)], [(5, 5), (10, 0)]]
    assert [text.get_text() for text in panel.texts] == ["3 (37.5%)", "unknown"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], 'section "all" has no samples'),
        ({"test": []}, 'section "test" has no samples'),
        ([{"image": "", "label": [1, 0]}], "have 2 labels, 4 findings were named"),
        ([{"image": "", "label": [1, 0]}, {"image": "", "label": [1]}], "have 1 or 2 labels"),
        ([{"image": ""}], "have no labels, 4 findings were named"),
    ],
)
def test_samples_that_do_not_fit_are_named(tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        statistics(tmp_path, data)
