import numpy as np
from PIL import Image

from medkit.testing import DatasetConformance


def put_images(folder):
    random = np.random.default_rng(0)
    for n in range(24):
        kind = folder / ("yes", "no")[n % 2]
        kind.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (4, 6), np.uint8)).resize((36, 24)).save(kind / f"{n}.png")


class TestBrainMri(DatasetConformance):
    component = "brain_mri"

    def make_dataset_dir(self, folder):
        put_images(folder)


class TestBrainMriFolder(DatasetConformance):
    component = "brain_mri_folder"
    sections = ("all",)

    def make_dataset_dir(self, folder):
        put_images(folder)
