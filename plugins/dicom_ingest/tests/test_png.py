import subprocess
import sys
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from medkit_dicom_ingest.ingest.png import encode_png
from PIL import Image

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40)) | st.tuples(
    st.integers(1, 20), st.integers(1, 20), st.just(3)
)


@given(st.sampled_from([np.uint8, np.uint16]).flatmap(lambda dtype: SHAPES.flatmap(lambda s: arrays(dtype, s))))
def test_any_image_comes_back_from_libpng(pixels):
    np.testing.assert_array_equal(imagecodecs.png_decode(encode_png(pixels)), pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pillow_reads_the_image_and_its_text(dtype):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (7, 5), dtype, endpoint=True)
    with Image.open(BytesIO(encode_png(pixels, {"medkit": '{"α": "β"}'}))) as image:
        image.load()
        np.testing.assert_array_equal(np.asarray(image), pixels)
        assert image.info["medkit"] == '{"α": "β"}'


def test_a_view_of_an_array_is_written_as_it_looks():
    pixels = np.arange(60, dtype=np.uint16).reshape(6, 10)[::2, ::-3]
    np.testing.assert_array_equal(imagecodecs.png_decode(encode_png(pixels)), pixels)


MANY = """
import hashlib
import numpy as np
from medkit_dicom_ingest.ingest.png import encode_png
random = np.random.default_rng(0)
digest = hashlib.sha256()
for side in [6] * 300 + [20] * 300 + [64] * 100:
    digest.update(encode_png((random.integers(0, 2, (side, side)) * random.integers(1, 255)).astype(np.uint8)))
print(digest.hexdigest())
"""


def test_every_process_writes_the_same_bytes():
    digests = {subprocess.run([sys.executable, "-c", MANY], capture_output=True, check=True).stdout for _ in range(5)}
    assert len(digests) == 1
