"""A second renderer, written from the standard, as oracle; hypothesis for the arithmetic of tables and windows."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from medkit_dicom_ingest.dicom.contrast import FUNCTIONS, valid_window, window
from medkit_dicom_ingest.dicom.lut import read_table
from medkit_dicom_ingest.dicom.rendering import render
from medkit_dicom_ingest.failure import ImageError
from medkit_dicom_ingest.reader import read_picture

from . import dcmtk, reference, shipped
from .cases import all_cases, by_rule
from .cases_contrast import packed
from .cases_samples import NATIVE
from .levels import DELIBERATE, FRAMES, TOLERATED, apart, shown_by_medkit
from .synthetic import make_dicom, make_lut, to_bytes

CASES = all_cases()
IMAGES = [path for path in shipped.files() if not shipped.no_image(path)]
PAGE = Path(__file__).parents[3] / "docs" / "dicom_rendering.md"
ROUNDING = 0.5 + 1e-3  # of a level; float32 adds a little


def tolerance(name: str) -> float:
    return ROUNDING + next((levels for pattern, (levels, _) in TOLERATED.items() if re.fullmatch(pattern, name)), 0)


def test_the_cases_are_several_hundred():
    assert len(CASES) >= 400


@pytest.mark.parametrize("name", CASES)
def test_every_case_agrees_with_the_reference(name):
    case = CASES[name]
    if case.dataset.file_meta.TransferSyntaxUID in NATIVE.values():
        np.testing.assert_array_equal(reference.stored_values(case.dataset), case.stored)
    shown = shown_by_medkit(to_bytes(case.dataset))
    assert len(shown) == min(len(case.stored), FRAMES)
    worst = 0.0
    for k, pixels in enumerate(shown):
        expected = 255 * reference.render(case.dataset, case.stored[k], k)
        worst = max(worst, apart(pixels, expected))
    assert (worst > tolerance(name)) == (name in DELIBERATE), f"{worst} levels"


@pytest.mark.parametrize("name", [name for name in CASES if re.match("rescale|modality|VOI|window|polarity", name)])
def test_floats_are_not_rounded_to_levels(name):
    case = CASES[name]
    rendered = render(case.dataset)
    np.testing.assert_allclose(rendered.pixels, reference.render(case.dataset, case.stored[0]), atol=1e-6)
    assert not [warning for warning in rendered.warnings if "PresentationLUTShape" not in warning]


@pytest.mark.parametrize("path", IMAGES, ids=shipped.called)
def test_shipped_files_agree_with_the_reference(path):
    dataset = shipped.read(path)
    stored = shipped.stored(path, dataset)
    if stored is None:  # dcmtk judges those that pydicom cannot decode
        assert dataset.file_meta.TransferSyntaxUID.is_encapsulated
        return
    for k, pixels in enumerate(shown_by_medkit(path.read_bytes())):
        difference = apart(pixels, 255 * reference.render(dataset, stored[k], k))
        assert difference <= tolerance(shipped.called(path))


@pytest.mark.parametrize("path", [path for path in shipped.files() if shipped.no_image(path)], ids=shipped.called)
def test_shipped_files_without_an_image_say_why(path):
    with pytest.raises(ImageError) as caught:
        read_picture(path)
    assert caught.value.code == shipped.no_image(path)


@given(
    values=st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=50),
    center=st.floats(-5000, 70000),
    width=st.floats(1e-3, 1e5),
    kind=st.sampled_from(FUNCTIONS),
)
def test_window_arithmetic_agrees_with_the_reference(values, center, width, kind):
    if not valid_window(center, width, kind):
        assert kind == "LINEAR"
        assert width < 1
        return
    found = window(center, width, kind)(np.array(values))
    expected = [reference.windowed(x, center, width, kind) for x in values]
    steep = width < 1e-2 or (kind == "LINEAR" and 1 < width < 1 + 1e-2)
    np.testing.assert_allclose(found, expected, atol=1e-3 if steep else 1e-7)
    assert (np.diff(window(center, width, kind)(np.sort(values))) >= 0).all()


@given(
    count=st.one_of(st.integers(1, 300), st.sampled_from([4095, 4096, 65535, 65536])),
    first=st.integers(-32768, 65535),
    bits=st.integers(8, 16),
    values=st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=50),
    is_packed=st.booleans(),
)
def test_table_arithmetic_agrees_with_the_reference(count, first, bits, values, is_packed):
    entries = np.random.default_rng(count).integers(0, 1 << bits, count).tolist()
    item = (packed if is_packed and bits == 8 else partial(make_lut, bits=bits))(entries, first % 65536)
    found = read_table(item, first < 0, True)
    known, start, white = reference.table(item, first < 0)
    assert (found.first, found.white, len(found.entries)) == (start, white, len(known)) == (first, 2**bits - 1, count)
    np.testing.assert_array_equal(found(np.array(values)), [reference.at(known, round(v) - start) for v in values])


@given(
    slope=st.floats(-100, 100).filter(lambda s: abs(s) > 1e-3),
    intercept=st.floats(-1e4, 1e4),
    center=st.floats(-2e4, 2e4),
    width=st.floats(1, 1e5),
    kind=st.sampled_from(FUNCTIONS),
    photometric=st.sampled_from(["MONOCHROME1", "MONOCHROME2"]),
    stored_bits=st.integers(2, 16),
)
def test_rescale_window_and_polarity_together_agree_with_the_reference(
    slope, intercept, center, width, kind, photometric, stored_bits
):
    stored = np.random.default_rng(stored_bits).integers(0, 1 << stored_bits, (4, 6)).astype(np.uint16)
    numbers = {"RescaleSlope": slope, "RescaleIntercept": intercept, "WindowCenter": center, "WindowWidth": width}
    tags = {keyword: f"{value:.9g}" for keyword, value in numbers.items()}
    tags |= {"VOILUTFunction": kind, "PhotometricInterpretation": photometric}
    dataset = make_dicom(stored, BitsStored=stored_bits, **tags)
    rendered = render(dataset)
    if rendered.window == "full range":  # the window would show one flat grey
        for keyword in ("WindowCenter", "WindowWidth"):
            del dataset[keyword]
    np.testing.assert_allclose(rendered.pixels, reference.render(dataset, stored), atol=1e-5)


def test_luminance_weighs_the_channels_by_bt601():
    case = CASES["RGB: 8 bits planar 1"]
    np.testing.assert_allclose(render(case.dataset).pixels, case.stored[0] @ [0.299, 0.587, 0.114] / 255, atol=1e-6)


def test_the_page_in_docs_is_of_these_cases_files_and_exceptions():
    page = PAGE.read_text(encoding="utf-8")
    rows = {row[0]: row[1:] for line in page.splitlines() if len(row := [c.strip() for c in line.split("|")[1:-1]]) > 2}
    for rule, cases in by_rule():
        allowed = sum(case.name in DELIBERATE for case in cases)
        count, medkit = rows[rule][:2]
        assert int(count) == len(cases)
        assert int(medkit.split(",")[0]) == len(cases) - allowed
    assert int(rows["all"][0]) == len(CASES)
    for path in IMAGES:
        assert path.name in rows or path.parent.name in page
    for why in (*dcmtk.EXPLAINED, *dcmtk.REFUSED, *DELIBERATE.values(), *(why for _, why in TOLERATED.values())):
        assert why in page
