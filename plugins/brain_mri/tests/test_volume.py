"""Volumes: turned as radiologists look at them, scaled within the volume, and one clear line where they are bad."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from medkit_brain_mri.itk_io import series_in
from medkit_brain_mri.volume import PERCENTILES, oriented, read_volume
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

from medkit.errors import ConfigError, DataError

LPS_AFFINE = np.diag([-2.0, -3.0, 5.0, 1.0])
ORDERS = ["".join(c) for axes in itertools.permutations(("LR", "PA", "SI")) for c in itertools.product(*axes)]


def scaled(voxels):
    low, high = np.percentile(voxels, PERCENTILES)
    return np.clip((voxels - low) / (high - low), 0, 1)


def write_nifti(path, voxels, order="LPS"):
    turn = ornt_transform(axcodes2ornt("LPS"), axcodes2ornt(order))
    affine = LPS_AFFINE @ inv_ornt_aff(turn, voxels.shape[:3])
    nib.save(nib.Nifti1Image(apply_orientation(voxels, turn), affine), path)
    return path


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_of_voxels_gives_the_same_slices(order, head, tmp_path):
    volume = read_volume(write_nifti(tmp_path / f"{order}.nii", head, order))
    np.testing.assert_allclose(volume.voxels, scaled(head), atol=1e-6)
    assert volume.spacing_mm == pytest.approx((2, 3, 5))


@pytest.mark.parametrize("suffix", [".mha", ".mhd", ".nrrd"])
@pytest.mark.parametrize(
    ("flips", "order"), [((1, 1, 1), (0, 1, 2)), ((-1, 1, -1), (2, 0, 1)), ((1, -1, 1), (1, 0, 2))]
)
def test_itk_files_are_turned_too(suffix, flips, order, head, write_itk, tmp_path):
    write_itk(tmp_path / f"a{suffix}", head, flips, order)
    np.testing.assert_allclose(read_volume(tmp_path / f"a{suffix}").voxels, scaled(head), atol=1e-6)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_dicom_series_is_sorted_by_place_and_turned(plane, head, write_series, tmp_path):
    write_series(tmp_path / "s", head, plane, slope=2.5)
    (series,) = series_in(tmp_path / "s")
    assert len(series) == head.shape[{"sagittal": 0, "coronal": 1, "axial": 2}[plane]]
    for file in (series[0], series[3]):
        volume = read_volume(file)
        np.testing.assert_allclose(volume.voxels, scaled(head), atol=1e-6)
        assert volume.spacing_mm == pytest.approx((2, 3, 5))


def test_slices_are_shown_as_radiologists_look_at_them(head):
    volume = oriented(head, LPS_AFFINE)
    assert volume.slice("axial", 9).shape == (
        20,
        16,
    )  # the mark: left of the patient is right of the image, front on top
    assert volume.slice("coronal", 5).shape == (12, 16)
    assert volume.slice("sagittal", 11).shape == (12, 20)
    for plane, index, middle in (("axial", 9, (4.5, 11)), ("coronal", 5, (2.5, 11)), ("sagittal", 11, (2.5, 4.5))):
        np.testing.assert_allclose(np.argwhere(volume.slice(plane, index) == 1).mean(0), middle)
    assert volume.slice_spacing_mm("sagittal") == [5, 3]


def test_one_bright_voxel_does_not_darken_the_head(head):
    plain = oriented(head, LPS_AFFINE).voxels
    head[8, 8, 8] = 32000
    assert oriented(head, LPS_AFFINE).voxels[7, 10, 6] == pytest.approx(plain[7, 10, 6], abs=0.1)


def test_empty_slices_are_left_out_also_where_air_is_noisy(head):
    noise = np.abs(np.random.default_rng(0).normal(0, 15, (16, 20, 6)))
    volume = oriented(np.concatenate([noise, head + 0.0, noise], axis=2), LPS_AFFINE)
    assert min(volume.shown("axial")) >= 6
    assert max(volume.shown("axial")) < 18
    assert len(volume.shown("axial")) >= 8
    assert oriented(np.ones((4, 4, 4)), LPS_AFFINE).shown("axial") == []


def test_of_four_dimensions_the_first_time_point_is_taken_and_said(head, tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", np.stack([head, head * 0 + 7, head * 3], axis=3))
    volume = read_volume(path)
    np.testing.assert_allclose(volume.voxels, scaled(head), atol=1e-6)
    assert volume.warnings == ("3 time points: the first is taken",)


@pytest.mark.parametrize(("plane", "axis"), [("axial", 2), ("coronal", 1), ("sagittal", 0)])
def test_volume_of_one_slice_shows_it_whatever_plane_was_asked(plane, axis, head, tmp_path):
    volume = read_volume(write_nifti(tmp_path / "a.nii", np.take(head, [9], axis)))
    assert volume.plane("axial") == plane
    assert volume.count(plane) == 1
    assert f"one slice, which is {plane}" in volume.warnings


def test_acquired_plane_is_the_one_across_the_largest_spacing(head):
    assert oriented(head, LPS_AFFINE).plane("acquired") == "axial"
    assert oriented(head, np.diag([-6.0, -1, 1, 1])).plane("acquired") == "sagittal"
    assert oriented(head, np.diag([-1.0, -1, 1, 1])).plane("acquired") == "axial"
    with pytest.raises(ConfigError, match='Did you mean "coronal"'):
        oriented(head, LPS_AFFINE).plane("coronall")


def test_values_that_are_not_finite_are_black_and_said(head):
    broken = head.astype(np.float32)
    broken[0, 0, :2] = np.nan, np.inf
    volume = oriented(broken, LPS_AFFINE)
    assert volume.voxels[0, 0, 0] == volume.voxels[0, 0, 1] == 0
    assert volume.warnings == ("2 voxels are not finite: black",)
    with pytest.raises(DataError, match="finite"):
        oriented(np.full((3, 3, 3), np.nan), LPS_AFFINE)


def test_a_localizer_and_two_series_in_one_folder_stay_apart(head, write_series, tmp_path):
    write_series(tmp_path, head, key="t1", prefix="A")
    write_series(tmp_path, head * 2, key="t2", prefix="B")
    write_series(tmp_path, head[7:8], "sagittal", key="scout", prefix="C")
    write_series(tmp_path, head[:, 9:10], "coronal", key="scout", prefix="D")
    (tmp_path / "notes.txt").write_text("no DICOM")
    assert sorted(len(series) for series in series_in(tmp_path)) == [1, 1, 12, 12]
    for series in series_in(tmp_path):
        assert len({file.name[0] for file in series}) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.nii", b"", "cannot be read"),
        ("a.nii.gz", b"\x1f\x8bnonsense", "cannot be read"),
        ("a.mha", b"ObjectType = Image\nNDims = 3\n", "cannot be read by ITK"),
        ("a.dcm", bytes(128) + b"DICM" + bytes(40), "cannot be read by ITK"),
    ],
)
def test_bad_volume_is_one_line_without_its_path(name, content, message, tmp_path, capfd):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_volume(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert str(tmp_path) not in capfd.readouterr().err


def test_truncated_nifti_is_an_error(head, tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", head)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="truncated or corrupt"):
        read_volume(path)


def test_header_that_places_no_axes_gives_no_spacing(head):
    volume = oriented(head, np.zeros((4, 4)))
    assert volume.spacing_mm is volume.slice_spacing_mm("axial") is None
    assert volume.plane("acquired") == "axial"
    assert "no axes" in volume.warnings[0]


def test_slice_that_is_not_there_is_an_error(head):
    with pytest.raises(DataError, match="slice 12 asked for, the volume has 12 axial ones"):
        oriented(head, LPS_AFFINE).slice("axial", 12)
