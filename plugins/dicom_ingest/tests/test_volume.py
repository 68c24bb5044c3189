"""Volumes to slices: orientation against nibabel and ITK, contrast, and files that are refused."""

import gzip
import itertools
import os
import tracemalloc

import itk
import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from medkit_dicom_ingest.dicom.contrast import Voi
from medkit_dicom_ingest.failure import ImageError
from medkit_dicom_ingest.volumes.slices import looks_like_volume, parts, slices

from medkit.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore:builtin type [sS]wig:DeprecationWarning")  # they crash SWIG as errors
SPACING = np.array([0.5, 2.0, 3.0])
PHANTOM = np.random.default_rng(0).permutation(5 * 6 * 7).reshape(5, 6, 7).astype(np.int16)
"""[towards left, towards back, towards head]; all values differ."""
EXPECTED = {
    "axial": [PHANTOM[:, :, k].T for k in range(7)],
    "coronal": [PHANTOM[:, j, ::-1].T for j in range(6)],
    "sagittal": [PHANTOM[i, :, ::-1].T for i in range(5)],
}
RAS = np.diag([-1.0, -1.0, 1.0])
ORIENTATIONS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))


def stored_as(order, signs):
    """Return the phantom with its axes in another order and direction, and its direction matrix (LPS+, columns)."""
    voxels = PHANTOM.transpose(order)[tuple(slice(None, None, sign) for sign in signs)]
    return voxels, np.eye(3)[:, order] * np.array(signs)


def save(path, voxels, direction, spacing, **options):
    """Write (I,J,K) voxels by nibabel or by ITK, whichever the name asks for; the direction is LPS+."""
    if ".nii" in path.name:
        affine = np.eye(4)
        affine[:3, :3] = RAS @ direction * spacing
        nib.save(nib.Nifti1Image(voxels, affine), path)
    else:
        image = itk.image_from_array(np.ascontiguousarray(voxels.T))
        image.SetSpacing([float(size) for size in spacing])
        image.SetDirection(itk.matrix_from_array(np.ascontiguousarray(direction)))
        itk.imwrite(image, str(path), **options)
    return path


def read(path, *args, **options):
    return list(slices(path, path.read_bytes(), *args, **options))


def grey(values, low, high):
    return np.rint(np.clip((np.asarray(values, np.float64) - low) / (high - low), 0, 1) * 255)


def bitmaps(path, plane="axial", choice=Voi(), **options):  # noqa: B008
    return [found.pixels for found in read(path, plane, choice, np.uint8, **options)]


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_all_48_orientations_in_all_formats_give_the_same_slices(tmp_path, order, signs):
    voxels, direction = stored_as(order, signs)
    for name in ("v.nii", "v.mha", "v.nrrd"):
        path = save(tmp_path / name, voxels, direction, SPACING[list(order)])
        for plane, expected in EXPECTED.items():
            found = read(path, plane, Voi(), np.uint8)
            np.testing.assert_array_equal([s.pixels for s in found], grey(expected, 0, 209))
            rows, columns = {"axial": (1, 0), "coronal": (2, 0), "sagittal": (2, 1)}[plane]
            np.testing.assert_allclose(found[0].source.spacing_mm, [SPACING[rows], SPACING[columns]], rtol=1e-6)
            assert [s.index for s in found] == list(range(len(expected)))
            assert (found[0].source.plane, found[0].source.frames) == (plane, len(expected))
            assert found[0].source.window == "volume range 0 to 209"
            assert found[0].source.warnings == []


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS[::5])
def test_slices_agree_with_nibabels_canonical_volume(tmp_path, order, signs):
    voxels, direction = stored_as(order, signs)
    path = save(tmp_path / "v.nii.gz", voxels, direction, SPACING[list(order)])
    canonical = np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj)  # right, front, head
    np.testing.assert_array_equal(
        bitmaps(path), [grey(canonical[::-1, ::-1, k].T, 0, 209) for k in range(canonical.shape[2])]
    )


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    orientation=st.sampled_from(ORIENTATIONS),
    spacing=st.tuples(*[st.floats(0.1, 10)] * 3),
    degrees=st.floats(0, 30),
    axis=st.integers(0, 2),
)
def test_oblique_volumes_are_nearest_planes_and_say_so(tmp_path, orientation, spacing, degrees, axis):
    voxels, direction = stored_as(*orientation)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.roll(np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]), (axis, axis), (0, 1))
    own_spacing = np.array(spacing)[list(orientation[0])]
    for name in ("v.nii", "v.mha", "v.nrrd"):
        found = read(save(tmp_path / name, voxels, turn @ direction, own_spacing), "coronal", Voi(), np.uint8)
        np.testing.assert_array_equal([s.pixels for s in found], grey(EXPECTED["coronal"], 0, 209))
        np.testing.assert_allclose(found[0].source.spacing_mm, [spacing[2], spacing[0]], rtol=1e-4)
        if abs(degrees - 1) > 0.01:
            said = [w.split(" degrees")[0].removeprefix("oblique by ") for w in found[0].source.warnings]
            assert [float(number) for number in said] == pytest.approx([degrees] if degrees > 1 else [], abs=0.06)


TYPES = [np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.float32, np.float64]


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz", "v.mha", "v.mhd", "v.nrrd", "v.nhdr"])
@pytest.mark.parametrize("dtype", TYPES)
def test_every_number_type_gives_the_same_bitmaps(tmp_path, name, dtype):
    voxels = (PHANTOM % 128).astype(dtype)
    path = save(tmp_path / name, voxels, np.eye(3), SPACING)
    np.testing.assert_array_equal(
        bitmaps(path, choice=Voi.parse("minmax")), grey(np.array(EXPECTED["axial"]) % 128, 0, 127)
    )


@pytest.mark.parametrize("name", ["v.mha", "v.mhd", "v.nrrd", "v.nhdr"])
def test_packed_voxels_are_read_and_damage_is_found(tmp_path, name):
    path = save(tmp_path / name, PHANTOM, np.eye(3), SPACING, compression=True)
    np.testing.assert_array_equal(bitmaps(path), grey(EXPECTED["axial"], 0, 209))
    holder = parts(path, path.read_bytes())[0] if name[-2:] in ("hd", "dr") else path
    whole = holder.read_bytes()
    for damaged in (whole[:-100], whole[:-200] + b"\xff" * 150 + whole[-50:]):
        holder.write_bytes(damaged)
        with pytest.raises(ImageError) as caught:
            read(path)
        assert caught.value.code in ("corrupt", "truncated")


# Contrast


def nifti(path, voxels, **fields):
    """Write (I,J,K) voxels in LPS directions, then the header's fields as they are given."""
    nib.save(nib.Nifti1Image(voxels, np.diag([-1.0, -1.0, 1.0, 1.0])), path)
    content = path.read_bytes()
    header = nib.Nifti1Header(content[:348])
    for field, value in fields.items():
        header[field] = value
    path.write_bytes(header.binaryblock + content[348:])
    return path


FLOATS = np.linspace(-1000, 3000, 60, dtype=np.float32).reshape(3, 4, 5)
BYTES = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)


@pytest.mark.parametrize(
    ("voxels", "fields", "choice", "low", "high", "window", "warning"),
    [
        (FLOATS, {}, "auto", -1000, 3000, "volume range -1000 to 3000", None),
        (FLOATS, {"cal_min": -160, "cal_max": 240}, "auto", -160, 240, "cal_min -160 to cal_max 240", None),
        (FLOATS, {"cal_min": 5, "cal_max": 5}, "auto", -1000, 3000, "volume range -1000 to 3000", None),
        (FLOATS, {"cal_min": 0, "cal_max": np.inf}, "auto", -1000, 3000, "volume range -1000 to 3000", None),
        (FLOATS, {"cal_min": -160, "cal_max": 240}, "minmax", -1000, 3000, "minmax -1000 to 3000", None),
        (FLOATS, {}, "full", -1000, 3000, "volume range -1000 to 3000", "full range asked for"),
        (FLOATS, {}, "window", -1000, 3000, "volume range -1000 to 3000", "window asked for"),
        (FLOATS, {}, "lut:2", -1000, 3000, "volume range -1000 to 3000", "lut asked for"),
        (FLOATS, {}, "100/400/LINEAR_EXACT", -100, 300, "window 100/400 LINEAR_EXACT", None),
        (BYTES, {}, "auto", 0, 255, "full range", None),
        (BYTES, {}, "minmax", 0, 59, "minmax 0 to 59", None),
        (BYTES.astype(np.int16), {}, "full", -32768, 32767, "full range", None),
        (BYTES.astype(np.int16), {}, "auto", 0, 59, "volume range 0 to 59", None),
        (BYTES % 2, {}, "auto", 0, 1, "mask 0 to 1", None),
        (BYTES % 7, {"intent_code": 1002}, "auto", 0, 6, "mask 0 to 6", None),
        (BYTES * 0 + 9, {}, "minmax", 0, 255, "full range", "one value"),
        (FLOATS * 0, {}, "auto", 1, 2, "full range", "one value"),
    ],
)
def test_contrast(tmp_path, voxels, fields, choice, low, high, window, warning):
    found = read(nifti(tmp_path / "v.nii", voxels, **fields), "axial", Voi.parse(choice), np.uint8)
    np.testing.assert_array_equal([s.pixels for s in found], [grey(voxels[:, :, k].T, low, high) for k in range(5)])
    assert found[0].source.window == window
    assert [warning in w for w in found[0].source.warnings] == ([True] if warning else [])


def test_slope_and_intercept_are_applied(tmp_path):
    path = nifti(tmp_path / "v.nii", BYTES.astype(np.int16), scl_slope=-2, scl_inter=100)
    np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), BYTES * -2.0 + 100)
    found = read(path, dtype=np.uint8)
    np.testing.assert_array_equal(found[1].pixels, grey(BYTES[:, :, 1].T * -2.0 + 100, -18, 100))
    assert found[0].source.window == "volume range -18 to 100"


def test_what_is_not_finite_is_black(tmp_path):
    voxels = FLOATS.copy()
    voxels[0, 0, 0], voxels[1, 1, 0], voxels[2, 2, 3] = np.nan, np.inf, -np.inf
    found = read(nifti(tmp_path / "v.nii", voxels))
    assert found[0].pixels[0, 0] == found[0].pixels[1, 1] == found[3].pixels[2, 2] == 0
    assert [len(s.source.warnings) for s in found] == [1, 0, 0, 1, 0]
    assert "2 pixels are not finite" in found[0].source.warnings[0]
    nothing = read(nifti(tmp_path / "n.nii", np.full((3, 4, 5), np.nan, np.float32)))
    assert not nothing[0].pixels.any()
    huge = np.array([-1.7e308, 0, 1.7e308]).reshape(3, 1, 1)
    assert not read(nifti(tmp_path / "h.nii", huge))[0].pixels.any()


def test_float32_and_uint16_are_the_same_grey(tmp_path):
    path = nifti(tmp_path / "v.nii", FLOATS)
    single, deep = read(path)[2].pixels, read(path, dtype=np.uint16)[2].pixels
    assert (single.dtype, deep.dtype) == (np.float32, np.uint16)
    np.testing.assert_array_equal(deep, np.rint(single.astype(np.float64) * 65535))


# Other shapes and voxels


def test_time_points_come_one_after_the_other(tmp_path):
    voxels = np.arange(120, dtype=np.int16).reshape(3, 4, 5, 2)
    found = read(nifti(tmp_path / "v.nii", voxels), dtype=np.uint8)
    assert [s.index for s in found] == list(range(10))
    np.testing.assert_array_equal(found[7].pixels, grey(voxels[:, :, 2, 1].T, 0, 119))
    assert found[7].source.frames == 10
    assert "2 time points of 5 slices" in found[7].source.warnings[0]


@pytest.mark.parametrize("name", ["v.nii", "v.mha", "v.nrrd"])
def test_a_flat_file_is_one_slice_in_its_own_plane(tmp_path, name):
    if name == "v.nii":
        path = nifti(tmp_path / name, PHANTOM[:, :, 0])
    else:
        path = tmp_path / name
        itk.imwrite(itk.image_from_array(np.ascontiguousarray(PHANTOM[:, :, 0].T)), str(path))
    for plane in ("axial", "sagittal"):
        (found,) = read(path, plane, Voi(), np.uint8)
        values = PHANTOM[:, :, 0]
        np.testing.assert_array_equal(found.pixels, grey(values.T, values.min(), values.max()))
        assert found.source.plane == "axial"
        assert any("one slice" in w for w in found.source.warnings) == (plane == "sagittal")


def test_a_coronal_slice_stays_coronal(tmp_path):
    (found,) = read(nifti(tmp_path / "v.nii", PHANTOM[:, :1, :]), dtype=np.uint8)
    assert (found.source.plane, found.pixels.shape) == ("coronal", (7, 5))


@pytest.mark.parametrize("name", ["v.nii", "v.mha", "v.nrrd"])
@pytest.mark.parametrize("channels", [3, 4])
def test_colour_is_luminance_or_rgb(tmp_path, name, channels):
    rgb = np.random.default_rng(1).integers(0, 256, (3, 4, 5, channels), dtype=np.uint8)
    path = tmp_path / name
    if name == "v.nii":
        record = np.dtype([(letter, "u1") for letter in "RGBA"[:channels]])
        path = nifti(path, np.ascontiguousarray(rgb).view(record)[..., 0])
    else:
        pixel = (itk.RGBPixel if channels == 3 else itk.RGBAPixel)[itk.UC]
        image = itk.image_from_array(np.ascontiguousarray(rgb.transpose(2, 1, 0, 3)), ttype=itk.Image[pixel, 3])
        itk.imwrite(image, str(path))
    expected = rgb[:, :, 2, :3].transpose(1, 0, 2)
    coloured = read(path, dtype=np.uint8, in_colour=True)[2]
    np.testing.assert_array_equal(coloured.pixels, expected)
    assert (coloured.source.colour, coloured.source.photometric, coloured.source.bits_stored) == (True, "RGB", 8)
    np.testing.assert_allclose(read(path)[2].pixels, expected @ [0.299, 0.587, 0.114] / 255, atol=1e-6)


def meta(path, voxels=PHANTOM, kind="MET_SHORT", file="LOCAL", **fields):
    """Write a MetaImage by hand; a field of None is left out."""
    header = {"NDims": 3, "DimSize": "5 6 7", "ElementSpacing": "1 1 1", "TransformMatrix": "1 0 0 0 1 0 0 0 1",
              "ElementType": kind, **fields, "ElementDataFile": file}  # fmt: skip
    text = "ObjectType = Image\n" + "".join(f"{k} = {v}\n" for k, v in header.items() if v is not None)
    path.write_bytes(text.encode() + (voxels.tobytes(order="F") if file == "LOCAL" else b""))
    return path


def nrrd(path, voxels=PHANTOM, **fields):
    """Write an NRRD by hand; a field of None is left out, ``_`` stands for a blank."""
    header = {"type": "short", "dimension": 3, "space": "left-posterior-superior", "sizes": "5 6 7", "endian": "little",
              "space_directions": "(1,0,0) (0,1,0) (0,0,1)", "encoding": "raw", **fields}  # fmt: skip
    text = "NRRD0004\n" + "".join(f"{k.replace('_', ' ')}: {v}\n" for k, v in header.items() if v is not None)
    path.write_bytes(text.encode() + b"\n" + voxels.tobytes(order="F"))
    return path


def test_signed_bytes_and_64_bits_which_itks_python_lacks(tmp_path):
    for voxels, kind in ((PHANTOM.astype(np.int8), "MET_CHAR"), (PHANTOM.astype(np.int64), "MET_LONG_LONG")):
        found = bitmaps(meta(tmp_path / "v.mha", voxels, kind), choice=Voi.parse("minmax"))
        low, high = int(voxels.min()), int(voxels.max())
        np.testing.assert_array_equal(found, [grey(voxels[:, :, k].T, low, high) for k in range(7)])


def test_an_nrrd_in_ras_space_is_turned(tmp_path):
    path = nrrd(tmp_path / "v.nrrd", PHANTOM[::-1, ::-1], space="right-anterior-superior")
    np.testing.assert_array_equal(bitmaps(path), grey(EXPECTED["axial"], 0, 209))


def test_what_states_no_orientation_says_so(tmp_path):
    for path in (
        meta(tmp_path / "v.mha", TransformMatrix=None, ElementSpacing=None),
        nrrd(tmp_path / "v.nrrd", space=None, space_directions=None),
    ):
        (first, *_) = read(path)
        assert "taken as LPS" in first.source.warnings[0]
        assert (first.source.spacing_mm, first.source.spacing_tag) == (None, "")
    path = nifti(tmp_path / "v.nii", PHANTOM, qform_code=0, sform_code=0)
    assert "neither qform nor sform" in read(path)[0].source.warnings[0]
    np.testing.assert_array_equal(
        bitmaps(path),  # nibabel's base affine: the first axis runs to the left, the second to the front
        [grey(PHANTOM[:, ::-1, k].T, 0, 209) for k in range(7)],
    )


def test_an_sform_that_spans_nothing_gives_way_to_the_qform(tmp_path):
    path = nifti(tmp_path / "v.nii", PHANTOM, srow_x=[0, 0, 0, 0], qform_code=1, sform_code=1)
    found = read(path, dtype=np.uint8)
    assert found[0].source.warnings == ["sform is not usable"]
    assert found[0].source.spacing_tag == "pixdim"


@pytest.mark.parametrize("size", [0, np.nan, np.inf, 1e38, 1e-40])
def test_a_pixdim_that_is_no_length_is_no_spacing(tmp_path, size, capfd):
    path = nifti(tmp_path / "v.nii", PHANTOM, qform_code=0, sform_code=0, pixdim=[1, size, 1, 1, 1, 1, 1, 1])
    (first, *others) = read(path)
    assert len(others) == 6
    assert first.source.spacing_mm == ([1.0, 1.0] if size == 0 else None)  # nibabel mends 0
    assert capfd.readouterr() == ("", "")


def test_micrometres_become_millimetres(tmp_path):
    found = read(nifti(tmp_path / "v.nii", PHANTOM, xyzt_units=3))
    np.testing.assert_allclose(found[0].source.spacing_mm, [0.001, 0.001])


# Files beside the header


@pytest.mark.parametrize("name", ["v.mhd", "v.nhdr", "v.hdr"])
def test_the_voxels_beside_a_header_are_named(tmp_path, name):
    if name == "v.hdr":
        nib.save(nib.Nifti1Pair(PHANTOM, np.diag([-1.0, -1.0, 1.0, 1.0])), tmp_path / name)
        path = tmp_path / name
    else:
        path = save(tmp_path / name, PHANTOM, np.eye(3), SPACING)
    beside = tmp_path / ("v.img" if name == "v.hdr" else "v.raw")
    assert parts(path, path.read_bytes()) == [beside]
    np.testing.assert_array_equal(bitmaps(path), grey(EXPECTED["axial"], 0, 209))
    beside.write_bytes(beside.read_bytes()[:-1])
    with pytest.raises(ImageError, match="truncated"):
        read(path)
    beside.rename(tmp_path / "elsewhere")
    beside.symlink_to(tmp_path / "elsewhere")
    assert parts(path, path.read_bytes()) == []
    with pytest.raises(ImageError, match="link") as caught:
        read(path)
    assert caught.value.code == "not_regular"
    beside.unlink()
    os.mkfifo(beside)
    with pytest.raises(ImageError, match="pipe"):
        read(path)
    beside.unlink()
    with pytest.raises(ImageError, match="missing"):
        read(path)


@pytest.mark.parametrize(
    "file", ["../v.raw", "/etc/passwd", "LIST", "list", "v%03d.raw 1 7 1", "..", "a/v.raw", "a\\v.raw", ""]
)
def test_voxels_elsewhere_are_not_read(tmp_path, file):
    folder = tmp_path / "a"
    folder.mkdir()
    (tmp_path / "v.raw").write_bytes(PHANTOM.tobytes())
    for path in (meta(folder / "v.mhd", file=file), nrrd(folder / "v.nhdr", data_file=file)):
        assert parts(path, path.read_bytes()) == []
        with pytest.raises(ImageError) as caught:
            read(path)
        assert caught.value.code in ("unsupported", "truncated", "bad_header")


# Bad files


def damaged(tmp_path):
    """Yield (name, path, code) of files that must be refused."""
    broken = {
        "dims beyond the file": ({"DimSize": "5 6 700"}, "truncated"),
        "dims beyond all": ({"DimSize": "60000 60000 60000"}, "too_large"),
        "negative dim": ({"DimSize": "5 6 -7"}, "bad_header"),
        "zero dim": ({"DimSize": "0 6 7"}, "bad_header"),
        "no dims": ({"DimSize": None}, "bad_header"),
        "five axes": (
            {"NDims": 5, "DimSize": "5 6 7 1 2", "TransformMatrix": None, "ElementSpacing": None},
            "unsupported",
        ),
        "millions of axes": ({"NDims": 3000000}, "corrupt"),
        "NaN spacing": ({"ElementSpacing": "1 1 nan"}, "bad_header"),
        "spacing 0": ({"ElementSpacing": "1 1 0"}, "bad_header"),
        "negative spacing": ({"ElementSpacing": "1 1 -1"}, "bad_header"),
        "infinite direction": ({"TransformMatrix": "inf 0 0 0 1 0 0 0 1"}, "bad_header"),
        "no direction": ({"TransformMatrix": "0 0 0 0 0 0 0 0 0"}, "bad_header"),
        "unknown type": ({"kind": "MET_PATIENT"}, "corrupt"),
        "two sizes": ({"dimsize": "1 1 1"}, "bad_header"),
        "packed size beyond all": ({"CompressedData": True, "CompressedDataSize": 99999999999}, "truncated"),
        "two channels": ({"kind": "MET_UCHAR", "ElementNumberOfChannels": 2}, "unsupported"),
        "three floats": ({"kind": "MET_FLOAT", "DimSize": "1 2 3", "ElementNumberOfChannels": 3}, "unsupported"),
    }
    for name, (fields, code) in broken.items():
        yield name, meta(tmp_path / "v.mha", **fields), code
    broken = {
        "sizes beyond the file": ({"sizes": "5 6 700"}, "truncated"),
        "sizes beyond all": ({"sizes": "60000 60000 60000"}, "too_large"),
        "infinite": ({"space_directions": "(inf,0,0) (0,1,0) (0,0,1)"}, "bad_header"),
        "singular": ({"space_directions": "(1,0,0) (1,0,0) (0,0,1)"}, "bad_header"),
        "NaN": ({"space": None, "space_directions": None, "spacings": "1 1 nan"}, "bad_header"),
        "bzip2": ({"encoding": "bzip2"}, "unsupported"),
        "vectors": ({"dimension": 4, "sizes": "2 5 3 7", "kinds": "vector domain domain domain",
                     "space_directions": "none (1,0,0) (0,1,0) (0,0,1)"}, "unsupported"),
        "block": ({"type": "block"}, "corrupt"),
    }  # fmt: skip
    for name, (fields, code) in broken.items():
        yield name, nrrd(tmp_path / "v.nrrd", **fields), code
    broken = {
        "dim beyond the file": ({"dim": [3, 5, 6, 7000, 1, 1, 1, 1]}, "truncated"),
        "dim beyond all": ({"dim": [4, 32767, 32767, 32767, 9, 1, 1, 1]}, "too_large"),
        "negative": ({"dim": [3, 5, -6, 7, 1, 1, 1, 1]}, "bad_header"),
        "five dimensions": ({"dim": [5, 5, 2, 7, 1, 3, 1, 1]}, "unsupported"),
        "complex": ({"datatype": 32}, "unsupported"),
        "unknown": ({"datatype": 7}, "corrupt"),
        "intercept": ({"scl_slope": 1, "scl_inter": np.nan}, "bad_header"),
    }
    for packed in (bytes, gzip.compress):
        for name, (fields, code) in broken.items():
            header = nib.Nifti1Image(PHANTOM, np.eye(4)).header
            header["magic"], header["vox_offset"] = b"n+1", 352
            for field, value in fields.items():
                header[field] = value
            path = tmp_path / "v.nii"
            path.write_bytes(packed(header.binaryblock + bytes(4) + PHANTOM.tobytes(order="F")))
            yield f"{name} {packed.__name__}", path, code


def test_every_bad_file_has_its_reason_in_one_line_and_nothing_is_allocated(tmp_path, capfd):
    for name in ("v.mha", "v.nrrd"):  # loads ITK, which takes some 100 MB by itself
        read(save(tmp_path / name, PHANTOM, np.eye(3), SPACING))
    for name, path, code in damaged(tmp_path):
        assert looks_like_volume(path.read_bytes()), name
        tracemalloc.start()
        with pytest.raises(ImageError) as caught:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000, name
        tracemalloc.stop()
        assert caught.value.code == code, f"{name}: {caught.value}"
        assert "\n" not in str(caught.value)
        assert str(tmp_path) not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_bomb_is_not_inflated(tmp_path):
    header = nifti(tmp_path / "v.nii", PHANTOM).read_bytes()
    path = tmp_path / "v.nii.gz"
    path.write_bytes(gzip.compress(header + bytes(200_000_000), 1))
    tracemalloc.start()
    assert len(read(path)) == 7
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz", "v.mha", "v.nrrd"])
def test_truncated_anywhere_is_an_error(tmp_path, name):
    path = save(tmp_path / name, PHANTOM, np.eye(3), SPACING)
    whole = path.read_bytes()
    for length in (*range(60, len(whole) - 8, 37), len(whole) - 9):
        path.write_bytes(whole[:length])
        if looks_like_volume(whole[:length]):
            with pytest.raises(ImageError):
                read(path)


def test_what_is_no_volume_is_not_taken_for_one():
    for data in (b"", b"\x1f\x8b", gzip.compress(b"text" * 200), b"Name = Mustermann\nAge = 3\n", b"NRRD", bytes(600),
                 bytes(128) + b"DICM", b"\x89PNG\r\n\x1a\n", b"NDims"):  # fmt: skip
        assert not looks_like_volume(data), data[:20]
        assert parts(None, data) == []


def test_an_unknown_plane_is_the_users_error(tmp_path):
    with pytest.raises(ConfigError, match='Did you mean "axial"'):
        read(nifti(tmp_path / "v.nii", PHANTOM), "axiall")


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz", "v.mha"])
def test_memory_is_at_most_two_copies_of_the_volume(tmp_path, name):
    voxels = np.zeros((128, 128, 256), np.int16)
    voxels[::3, ::5, ::7] = 1000
    path = save(tmp_path / name, voxels, np.eye(3), SPACING)
    tracemalloc.start()
    for _ in slices(path, path.read_bytes(), "sagittal", dtype=np.uint8):
        pass
    assert tracemalloc.get_traced_memory()[1] < 2.2 * voxels.nbytes
    tracemalloc.stop()
