"""What is drawn: tissues where they belong, tumours that show, and no giveaway in the brightness."""

import cv2
import numpy as np
import pytest
from medkit_phantom_mri.folder import draw_patient
from medkit_phantom_mri.head import Tissue, draw_head, head_grid, tissues
from medkit_phantom_mri.scan import SEQUENCES, draw_scan, draw_slice
from medkit_phantom_mri.tumour import LEVELS, draw_tumour, shares
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SIDE = 128


@pytest.mark.parametrize("level", LEVELS)
def test_head_has_every_tissue_in_its_place(level):
    for seed in range(6):
        head = draw_head(np.random.default_rng(seed))
        tissue, radius = tissues(head, level, SIDE)
        brain = (tissue == Tissue.GREY) | (tissue == Tissue.WHITE)
        assert set(np.unique(tissue)) == {0, 1, 2, 3, 4, 5}
        assert (tissue[radius >= 1] == Tissue.AIR).all()
        assert radius[brain].max() < radius[tissue == Tissue.BONE].min() + 0.01
        assert 0.35 < (tissue == Tissue.WHITE).sum() / brain.sum() < 0.9
        assert not brain[0].any()
        assert not brain[:, 0].any()


def test_ventricles_are_at_the_basal_ganglia_and_not_near_the_vertex():
    head = draw_head(np.random.default_rng(1))
    share = []
    for level in (0.2, 0.7):
        tissue, _ = tissues(head, level, 256)
        x, y, _ = head_grid(head, level, 256)
        middle = (np.abs(x) < 0.3) & (np.abs(x) > 0.07) & (np.abs(y) < 0.3)
        share.append((tissue[middle] == Tissue.FLUID).mean())
    assert share[0] > 0.08 > 0.02 > share[1]


def test_a_tumour_changes_the_picture_where_it_is():
    seen = set()
    for seed in range(40):
        rng = np.random.default_rng([7, seed])
        head, scan, level = draw_head(rng), draw_scan(rng, SIDE), rng.uniform(*LEVELS)
        tumour = draw_tumour(rng, level)
        seen.add(tumour.kind)
        with_it, without = (draw_slice(head, scan, level, t, np.random.default_rng(0), SIDE) for t in (tumour, None))
        x, y, radius = head_grid(head, level, SIDE)
        near = np.hypot(x - tumour.centre[0], y - tumour.centre[1]) < tumour.size
        far = (np.hypot(x - tumour.centre[0], y - tumour.centre[1]) > 4 * tumour.size) | (radius > 1)
        change = np.abs(with_it - without)
        assert change[near & (radius < 0.8)].mean() > 0.03
        assert change[far].mean() < 0.25 * change[near & (radius < 0.8)].mean()
    assert seen == {"ring", "diffuse", "solid"}


def test_a_tumour_ends_above_and_below_its_middle():
    tumour = draw_tumour(np.random.default_rng(3), 0.3)
    grid = np.mgrid[-1:1:64j, -1:1:64j].astype(np.float32)
    areas = [sum(s.sum() for s in shares(tumour, grid[1], grid[0], level).values()) for level in (0.3, 0.36, 0.9)]
    assert areas[0] > areas[1] > areas[2] == 0


def test_sequences_differ_as_in_patients():
    index = {tissue: int(tissue) for tissue in Tissue}
    assert SEQUENCES["t1"][index[Tissue.WHITE]] > SEQUENCES["t1"][index[Tissue.GREY]] > SEQUENCES["t1"][3]
    assert SEQUENCES["t2"][3] > SEQUENCES["t2"][index[Tissue.GREY]] > SEQUENCES["t2"][index[Tissue.WHITE]]
    assert SEQUENCES["flair"][3] < SEQUENCES["flair"][index[Tissue.WHITE]]


def test_noise_in_air_is_rayleigh_distributed():
    rng = np.random.default_rng(0)
    head, scan = draw_head(rng), draw_scan(rng, 256)
    pixels = draw_slice(head, scan, 0.2, None, rng, 256)
    _, radius = tissues(head, 0.2, 256)
    air = (pixels[radius > 1.15] ** (1 / scan.gamma)) / scan.gain
    assert air.mean() / air.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.05)


def test_thumbnails_do_not_give_the_class_away():
    drawn = [(draw_patient(4, patient, patient % 2 == 0, 64)[0], patient % 2 == 0) for patient in range(160)]
    thumbnails = np.array([cv2.resize(pixels, (16, 16), interpolation=cv2.INTER_AREA).ravel() for pixels, _ in drawn])
    tumour = np.array([shown for _, shown in drawn])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for strength in (0.001, 0.1):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
        assert (cross_val_predict(model, thumbnails, tumour, cv=folds) == tumour).mean() < 0.65
