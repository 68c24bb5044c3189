"""What is drawn: findings, their boxes, and how little brightness alone gives away."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medkit_phantom import image as code
from medkit_phantom.canvas import Canvas, bounding_box
from medkit_phantom.cohort import SHARES, plan_cohort
from medkit_phantom.findings import FINDINGS
from medkit_phantom.image import draw_radiograph


@pytest.mark.parametrize("finding", FINDINGS)
def test_box_lies_in_the_image_and_holds_what_the_finding_changed(finding):
    for number in range(4):
        findings = (finding, "Nodule" if finding != "Nodule" else "Effusion")
        shown = draw_radiograph(5, number, number, findings)
        without = draw_radiograph(5, number, number, findings, hidden=(finding,))
        x_min, y_min, x_max, y_max = (int(edge) for edge in shown.boxes[finding])
        rows, columns = shown.pixels.shape
        assert 0 <= x_min < x_max <= columns
        assert 0 <= y_min < y_max <= rows
        change = np.abs(shown.pixels - without.pixels)
        assert change[y_min:y_max, x_min:x_max].sum() > 0.97 * change.sum() > 0


@pytest.mark.parametrize("finding", [name for name in FINDINGS if name != "Cardiomegaly"])
def test_box_is_tight(finding):
    # Cardiomegaly is left out: its box is around the heart, of which only the rim is a change.
    for number in range(4):
        shown = draw_radiograph(6, number, number, (finding,))
        without = draw_radiograph(6, number, number, (finding,), hidden=(finding,))
        changed = bounding_box(np.abs(shown.pixels - without.pixels), 0.012)
        np.testing.assert_allclose(shown.boxes[finding], changed, atol=8)


def test_hiding_a_finding_leaves_everything_outside_its_box_alone():
    shown = draw_radiograph(7, 1, 1, ("Mass", "Effusion"))
    without = draw_radiograph(7, 1, 1, ("Mass", "Effusion"), hidden=("Mass",))
    x_min, y_min, x_max, y_max = (int(edge) for edge in shown.boxes["Mass"])
    outside = shown.pixels != without.pixels
    outside[max(y_min - 4, 0) : y_max + 4, max(x_min - 4, 0) : x_max + 4] = False
    assert not outside.any()
    assert shown.boxes == without.boxes


def test_marks_and_letters_say_nothing_about_findings(monkeypatch):
    burnt = []
    burn_in = code.burn_in
    monkeypatch.setattr(code, "burn_in", lambda *given: burnt.append(burn_in(*given)) or burnt[-1])
    for number in range(20):
        for findings in ((), ("Nodule",), ("Effusion", "Mass")):
            draw_radiograph(8, number, number, findings)
    without, nodule, two = burnt[::3], burnt[1::3], burnt[2::3]
    assert all(np.array_equal(a, b) and np.array_equal(a, c) for a, b, c in zip(without, nodule, two))
    assert len({mask.sum() for mask in without}) > 10


def test_images_of_one_patient_share_the_anatomy_and_not_the_view():
    first, second, other = (draw_radiograph(0, patient, number, ()) for patient, number in ((3, 1), (3, 2), (4, 3)))
    assert first.anatomy is second.anatomy
    assert first.anatomy.age == second.anatomy.age
    assert first.canvas != second.canvas
    assert other.anatomy is not first.anatomy


def test_class_counts_are_as_skewed_as_in_the_real_set():
    plan = plan_cohort(np.random.default_rng(0), list(FINDINGS), 12_000)
    for name, thousands in SHARES.items():
        assert sum(name in item.findings for item in plan) == pytest.approx(100 * thousands, abs=3)
    sizes = np.bincount([len(item.findings) for item in plan])
    assert sizes[0] / len(plan) == pytest.approx(0.5, abs=0.01)
    assert len(sizes) == 5
    assert min(SHARES.values()) / 120 == pytest.approx(0.017, abs=0.001)


@given(seed=st.integers(0, 2**32), images=st.integers(60, 400), count=st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_every_section_has_every_finding_and_patients_of_its_own(seed, images, count):
    findings = list(FINDINGS)[:count]
    plan = plan_cohort(np.random.default_rng(seed), findings, images)
    patients: dict[str, set[int]] = {}
    for item in plan:
        patients.setdefault(item.section, set()).add(item.patient)
        assert len(set(item.findings)) == len(item.findings) <= 4
    assert [item.number for item in plan] == list(range(len(plan)))
    assert len(plan) == pytest.approx(images, abs=1)
    assert sum(map(len, patients.values())) == len(set().union(*patients.values()))
    for section in ("training", "validation", "test"):
        shown = {name for item in plan if item.section == section for name in item.findings}
        assert shown == set(findings)


@given(
    angle=st.floats(-0.5, 0.5), stretch=st.floats(0.8, 1.25), x=st.floats(-0.6, 0.6), y=st.floats(-0.6, 0.6),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_a_drawn_square_lies_where_the_grid_says(angle, stretch, x, y):
    canvas = Canvas((190, 236), (118.0, 95.0), 80.0, angle, stretch)
    square = np.array([(x - 0.1, y - 0.1), (x + 0.1, y - 0.1), (x + 0.1, y + 0.1), (x - 0.1, y + 0.1)])
    mask = canvas.fill(square) > 0.5
    across, down = canvas.grid
    assert across[mask].mean() == pytest.approx(x, abs=0.01)
    assert down[mask].mean() == pytest.approx(y, abs=0.01)
    np.testing.assert_allclose(canvas.pixels(np.array([(x, y)]))[0] - 0.5, np.argwhere(mask).mean(0)[::-1], atol=0.8)


def test_mean_boxes_hit_few_findings():
    drawn = [draw_radiograph(1, n, n, (name,)) for n, name in enumerate(list(FINDINGS) * 8)]
    hits = []
    for k in range(len(FINDINGS)):
        own = drawn[k :: len(FINDINGS)]
        boxes = np.array([np.array(next(iter(d.boxes.values()))) / np.tile(d.pixels.shape[::-1], 2) for d in own])
        mean = boxes.mean(0)
        shared = np.prod(np.maximum(np.minimum(boxes[:, 2:], mean[2:]) - np.maximum(boxes[:, :2], mean[:2]), 0), axis=1)
        areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(mean[2:] - mean[:2])
        hits.append(np.mean(shared / (areas - shared) > 0.3))
    assert np.average(hits, weights=list(SHARES.values())) < 0.25


def test_thumbnails_look_alike_with_and_without_a_small_finding():
    findings = [name for name in FINDINGS if name not in ("Cardiomegaly", "Effusion")]
    changes, spread = [], []
    for n, name in enumerate(findings * 4):
        hidden = draw_radiograph(2, n, n, (name,), hidden=(name,)).pixels
        shown = draw_radiograph(2, n, n, (name,)).pixels
        thumbnail = cv2.resize(hidden, (16, 16), interpolation=cv2.INTER_AREA)
        changes.append(np.sqrt(np.mean((cv2.resize(shown, (16, 16), interpolation=cv2.INTER_AREA) - thumbnail) ** 2)))
        spread.append(thumbnail)
    between_patients = np.sqrt(np.var(spread, axis=0).mean())
    assert np.mean(changes) < 0.35 * between_patients
