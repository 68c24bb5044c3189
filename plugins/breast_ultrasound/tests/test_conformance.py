import numpy as np
from PIL import Image

from medkit.testing import DatasetConformance


class TestBreastUltrasound(DatasetConformance):
    component = "breast_ultrasound"

    def make_dataset_dir(self, folder):
        random = np.random.default_rng(0)
        for kind in ("benign", "malignant", "normal"):
            (folder / kind).mkdir()
            for n in range(1, 9):
                picture = Image.fromarray(random.integers(0, 256, (6, 8), np.uint8)).resize((40, 30))
                picture.save(folder / kind / f"{kind} ({n}).png")
                mask = np.zeros((30, 40), np.uint8)
                mask[5:15, 10:20] = 255 * (kind != "normal")
                Image.fromarray(mask).save(folder / kind / f"{kind} ({n})_mask.png")
