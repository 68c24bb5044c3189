"""What phantoms show, and that nothing but the lesion gives the class away."""

import numpy as np
import pytest
from medkit_phantom_ultrasound.folder import plan
from medkit_phantom_ultrasound.image import _speckle, draw_scan
from medkit_phantom_ultrasound.lesion import CLASSES
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SIZE = 128


@pytest.fixture(scope="module")
def scans():
    planned = plan(150, 0)
    return planned, [draw_scan(0, item.patient, item.frame, item.kind, SIZE) for item in planned]


def of_kind(scans, kind):
    return [scan for item, scan in zip(*scans) if item.kind == kind]


def test_classes_are_shared_out_as_in_busi():
    kinds = [item.kind for item in plan(780, 3)]
    assert [kinds.count(kind) for kind in CLASSES] == [437, 210, 133]
    patients = {item.patient for item in plan(780, 3)}
    assert 600 < len(patients) < 700
    assert len({item.name for item in plan(780, 3)}) == 780


def test_only_lesions_have_masks_and_they_are_darker_than_what_is_around_them(scans):
    assert not any(scan.masks for scan in of_kind(scans, "normal"))
    differences = []
    for scan in of_kind(scans, "benign") + of_kind(scans, "malignant"):
        for mask in scan.masks:
            assert 0.004 < mask.mean() < 0.15
            assert mask[1:-1, 1:-1].sum() > 0.98 * mask.sum()  # a spike may touch the edge, no more
            ring = binary_dilation(mask, iterations=8) & ~binary_dilation(mask, iterations=3)
            inside = binary_erosion(mask, iterations=2)
            differences.append(float(scan.pixels[ring].mean()) - float(scan.pixels[inside].mean()))
    assert np.mean(np.array(differences) > 5) > 0.95
    assert max(len(scan.masks) for scan in of_kind(scans, "benign")) == 2


def test_benign_is_wide_and_smooth_and_malignant_tall_and_jagged(scans):
    shapes = {}
    for kind in ("benign", "malignant"):
        rows = []
        for mask in (mask for scan in of_kind(scans, kind) for mask in scan.masks):
            height, width = (np.ptp(np.flatnonzero(mask.any(axis=axis))) + 1 for axis in (1, 0))
            outline = (mask & ~binary_erosion(mask)).sum()
            rows.append((width / height, outline**2 / mask.sum()))
        shapes[kind] = np.median(rows, axis=0)
    assert shapes["benign"][0] > 1.3 > 1.05 > shapes["malignant"][0]
    assert shapes["malignant"][1] > 1.3 * shapes["benign"][1]


def test_it_is_brighter_below_benign_and_darker_below_malignant_lesions(scans):
    below = {}
    for kind in ("benign", "malignant"):
        values = []
        for scan in of_kind(scans, kind):
            mask = scan.masks[0]
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            strip = slice(rows[-1] + 4, rows[-1] + 20)
            middle, half = columns.mean(), np.ptp(columns) / 2
            away = np.abs(np.arange(SIZE) - middle)
            under, beside = (
                scan.pixels[strip][:, away < 0.6 * half],
                scan.pixels[strip][:, (away > 1.4 * half) & (away < 3 * half)],
            )
            if under.size and beside.size:
                values.append(under.mean() - beside.mean())
        below[kind] = np.array(values)
    assert np.median(below["benign"]) > 6
    assert np.median(below["malignant"]) < -12
    assert (below["benign"] < 0).mean() > 0.05  # not always: a rule of thumb, as in patients
    assert (below["malignant"] > -5).mean() > 0.05


def test_thumbnails_and_brightness_do_not_give_the_class_away(scans):
    planned, drawn = scans
    kinds = np.array([CLASSES.index(item.kind) for item in planned])
    thumbnails = np.array([np.asarray(Image.fromarray(s.pixels).resize((16, 16), Image.Resampling.BOX)) for s in drawn])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    cv = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    found = cross_val_predict(
        model,
        thumbnails.reshape(len(drawn), -1),
        kinds,
        groups=[i.patient for i in planned],
        cv=cv,
        method="predict_proba",
    )
    assert accuracy_score(kinds, found.argmax(1)) < 0.68  # 0.56 for saying "benign" each time
    assert roc_auc_score(kinds != 2, 1 - found[:, 2]) < 0.72
    for k in range(3):
        assert 0.3 < roc_auc_score(kinds == k, thumbnails.mean((1, 2))) < 0.7


def test_speckle_is_rayleigh_for_one_look_and_smoother_for_more():
    rng = np.random.default_rng(0)
    for looks, expected in ((1, np.sqrt(np.pi / (4 - np.pi))), (3, 3.37)):
        amplitude = _speckle(rng, rng, (256, 256), looks, 1.0)
        assert (amplitude**2).mean() == pytest.approx(1, abs=1e-3)
        assert amplitude.mean() / amplitude.std() == pytest.approx(expected, rel=0.1)


def test_speckle_is_wider_across_the_beam_and_with_depth():
    rng = np.random.default_rng(1)
    power = _speckle(rng, rng, (256, 256), 1, 1.0) ** 2

    def alike(part, rows, columns):
        shifted = np.roll(part, (rows, columns), (0, 1))
        return np.corrcoef(part.ravel(), shifted.ravel())[0, 1]

    top, bottom = power[:60], power[-60:]
    assert alike(bottom, 0, 3) > alike(top, 0, 3) + 0.1
    assert alike(bottom, 0, 2) > alike(bottom, 2, 0) + 0.2


def test_frames_of_a_patient_resemble_each_other_more_than_two_patients_do():
    def resemblance(first, second):
        small = [
            np.asarray(Image.fromarray(s.pixels).resize((32, 32), Image.Resampling.BOX)).ravel()
            for s in (first, second)
        ]
        return np.corrcoef(*small)[0, 1]

    frames = [draw_scan(0, 5, frame, "benign", SIZE) for frame in range(2)]
    other = draw_scan(0, 6, 0, "benign", SIZE)
    assert (frames[0].pixels != frames[1].pixels).mean() > 0.9
    assert resemblance(*frames) > 0.6 > resemblance(frames[0], other)
    np.testing.assert_array_equal(draw_scan(0, 5, 1, "benign", SIZE).pixels, frames[1].pixels)
