"""Multi-frame DICOM: functional groups, offset tables, truncation, time and memory."""

import collections
import sys
import tracemalloc

import imagecodecs
import numpy as np
import pytest
from medkit_dicom_ingest.dicom.contrast import Voi
from medkit_dicom_ingest.dicom.frames import of_frame, one_for_all
from medkit_dicom_ingest.dicom.parse import parse
from medkit_dicom_ingest.dicom.rendering import rendered_frames
from medkit_dicom_ingest.facts import dicom_facts
from medkit_dicom_ingest.failure import ImageError
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import EnhancedCTImageStorage, JPEGLSLossless, RLELossless, SegmentationStorage

from .cases_codecs import encode_rle
from .cases_frames import PER_FRAME, SHARED, item, rescale, window
from .synthetic import make_frames, to_bytes

FRAMES = np.random.default_rng(0).integers(0, 4096, (4, 9, 7), dtype=np.uint16)
TILTED = {
    "axial": [1, 0, 0, 0, 1, 0],
    "coronal": [1, 0, 0, 0, 0, -1],
    "sagittal": [0, 1, 0, 0, 0, -1],
}


def enhanced_ct(**tags):
    """Return an enhanced CT: window, plane and side frame by frame, rescale and spacing shared."""
    groups = [
        item(
            **window(40 + 100 * n, 400 + n),
            PlaneOrientationSequence=[item(ImageOrientationPatient=list(TILTED.values())[n % 3])],
            FrameAnatomySequence=[item(FrameLaterality="LR"[n % 2])],
        )
        for n in range(len(FRAMES))
    ]
    shared = item(**rescale(1, -1024), PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.25])])
    dataset = make_frames(FRAMES, BitsStored=12, **{SHARED: [shared], PER_FRAME: groups}, **tags)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    return dataset


def jpegls(frame):
    return imagecodecs.jpegls_encode(frame)


def encoded(syntax, encode):
    """Return a data set without pixel data, and the streams of its frames, each of even length."""
    dataset = make_frames(FRAMES, encode=encode, syntax=syntax, BitsStored=12)
    streams = [encode(frame) for frame in FRAMES]
    return dataset, [stream + b"\0" * (len(stream) % 2) for stream in streams]


def linear(values, center, width):
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def test_an_enhanced_ct_is_shown_frame_by_frame_with_its_own_facts():
    for n, shown in enumerate(rendered_frames(parse(to_bytes(enhanced_ct())))):
        expected = linear(FRAMES[n].astype(float) - 1024, 40 + 100 * n, 400 + n)
        np.testing.assert_allclose(shown.pixels, expected, atol=1e-6)
        facts = dicom_facts(shown)
        assert facts.window == f"window {40 + 100 * n}/{400 + n} LINEAR"
        assert (facts.plane, facts.laterality) == (list(TILTED)[n % 3], "LR"[n % 2])
        assert (facts.spacing_mm, facts.sop_class) == ([0.5, 0.25], "Enhanced CT Image Storage")


def test_a_frame_writes_nothing_into_the_data_set_nor_into_the_next_frame():
    dataset = enhanced_ct(WindowCenter=7, WindowWidth=7, VOILUTFunction="SIGMOID")
    del dataset[PER_FRAME].value[2].FrameVOILUTSequence
    before = dataset.to_json()
    described = [of_frame(dataset, n) for n in range(4)]
    assert dataset.to_json() == before
    assert [d.WindowCenter for d in described] == [40, 140, 7, 340]
    assert ["VOILUTFunction" in d for d in described] == [False, False, True, False]
    assert described[0].file_meta is dataset.file_meta


def test_the_frame_counts_before_the_shared_group_and_that_before_the_top_level():
    dataset = make_frames(FRAMES, BitsStored=12, WindowCenter=1, WindowWidth=1, RescaleSlope=5, RescaleIntercept=5)
    assert one_for_all(dataset)
    assert of_frame(dataset, 0) is dataset
    setattr(dataset, SHARED, [item(**window(2, 2), **rescale(3, 4))])
    setattr(dataset, PER_FRAME, [item(**window(8, 8)), item()])
    assert [of_frame(dataset, n).WindowCenter for n in range(3)] == [8, 2, 2]
    assert of_frame(dataset, 0).RescaleSlope == 3


def test_an_old_multi_frame_has_one_description():
    dataset = make_frames(FRAMES, BitsStored=12, WindowCenter=1500, WindowWidth=900, GridFrameOffsetVector=[0, 2, 4, 6],
                          ImageOrientationPatient=TILTED["coronal"])  # fmt: skip
    shown = list(rendered_frames(parse(to_bytes(dataset))))
    for frame, stored in zip(shown, FRAMES, strict=True):
        np.testing.assert_allclose(frame.pixels, linear(stored.astype(float), 1500, 900), atol=1e-6)
    assert dicom_facts(shown[3]).plane == "coronal"


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 8), (7, 9)])
def test_frames_of_single_bits_need_not_end_at_whole_bytes(shape):
    bits = np.random.default_rng(1).integers(0, 2, (5, *shape), dtype=np.uint8)
    dataset = make_frames(bits, BitsStored=1)
    dataset.SOPClassUID, dataset.BitsAllocated = SegmentationStorage, 1
    packed = np.packbits(bits, bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)
    shown = [frame.pixels for frame in rendered_frames(parse(to_bytes(dataset)), dtype=np.uint8)]
    np.testing.assert_array_equal(shown, 255 * bits)


TABLES = [(table, pieces) for table in ("none", "basic") for pieces in (1, 2, 3)]


@pytest.mark.parametrize(("table", "pieces"), [*TABLES, ("extended", 1)])  # which allows one fragment a frame
@pytest.mark.parametrize(("syntax", "encode"), [(RLELossless, encode_rle), (JPEGLSLossless, jpegls)])
def test_fragments_and_offset_tables(syntax, encode, pieces, table):
    dataset, streams = encoded(syntax, encode)
    if table == "extended":
        dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = encapsulate_extended(
            streams
        )
    else:
        dataset.PixelData = encapsulate(streams, fragments_per_frame=pieces, has_bot=table == "basic")
    shown = rendered_frames(parse(to_bytes(dataset)), Voi("full"))
    if syntax == RLELossless and pieces > 1 and table == "none":  # nothing says where a frame ends
        with pytest.raises(ImageError):
            list(shown)
        return
    np.testing.assert_allclose([frame.pixels for frame in shown], FRAMES / 4095, atol=1e-6)


@pytest.mark.parametrize(("syntax", "encode"), [(RLELossless, encode_rle), (JPEGLSLossless, jpegls)])
@pytest.mark.parametrize("has_bot", [True, False])
def test_frames_before_a_truncated_one_still_come(syntax, encode, has_bot):
    dataset, streams = encoded(syntax, encode)
    streams[3] = streams[3][: len(streams[3]) // 2 // 2 * 2]
    dataset.PixelData = encapsulate(streams, has_bot=has_bot)
    shown, pixels = rendered_frames(parse(to_bytes(dataset)), Voi("full")), []
    with pytest.raises(ImageError, match=r"truncated|corrupt|cannot be decoded"):
        pixels.extend(frame.pixels for frame in shown)
    np.testing.assert_allclose(pixels, FRAMES[:3] / 4095, atol=1e-6)


@pytest.mark.parametrize("claimed", [5, 100_000_000])
def test_fewer_frames_than_the_header_says_are_an_error_that_counts_them(claimed):
    dataset, streams = encoded(JPEGLSLossless, jpegls)
    dataset.PixelData, dataset.NumberOfFrames = encapsulate(streams), claimed
    with pytest.raises(ImageError, match=rf"4 fra.*{claimed}") as caught:
        list(rendered_frames(parse(to_bytes(dataset))))
    assert caught.value.code == "truncated"


def test_native_frames_that_are_not_all_there_are_refused_before_any_is_shown():
    dataset = make_frames(FRAMES, BitsStored=12)
    dataset.PixelData = dataset.PixelData[:-2]
    with pytest.raises(ImageError, match=r"4 frame\(s\)") as caught:
        next(rendered_frames(parse(to_bytes(dataset))))
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("native", [True, False])
def test_200_frames_take_calls_in_proportion_and_the_memory_of_one(native):
    def measured(count):
        stored = np.random.default_rng(2).integers(0, 4096, (count, 96, 128), dtype=np.uint16)
        tags = {} if native else {"syntax": JPEGLSLossless, "encode": jpegls}
        groups = [item(**window(n, 400)) for n in range(count)]
        dataset = parse(to_bytes(make_frames(stored, BitsStored=12, **{PER_FRAME: groups}, **tags)))
        calls = collections.Counter()
        sys.setprofile(lambda frame, event, argument: calls.update([event]))
        try:
            frames = sum(1 for _ in rendered_frames(dataset, dtype=np.uint8))
        finally:
            sys.setprofile(None)
        assert frames == count
        tracemalloc.start()
        for _ in rendered_frames(dataset, dtype=np.uint8):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return calls["call"] + calls["c_call"], peak

    measured(20)
    (few, low), (many, high) = measured(50), measured(200)
    assert many < 4.5 * few
    assert high < low + 1_500_000  # 200 frames as uint8 alone would be 2.5 MB, as stored 4.9 MB
