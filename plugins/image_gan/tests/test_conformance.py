import numpy as np
from PIL import Image

from medkit.tables import write_csv
from medkit.testing import Conformance, DatasetConformance, NetworkConformance


class TestGanGenerator(Conformance):
    kind = "network"  # it departs from what networks do, and says so
    component = "gan_generator"


class TestGanDiscriminator(NetworkConformance):
    component = "gan_discriminator"
    options = {"image_size": 16, "width": 4}
    out_channels = 1
    spatial_size = (16, 16)


class TestGanLoss(Conformance):
    kind = "loss"  # of two networks, as MONAI's GanTrainer takes it, and says so
    component = "gan_loss"


class TestGenerated(DatasetConformance):
    component = "generated"
    options = {"findings": ["Mass", "Nodule"]}
    sections = ("training", "all")

    def make_dataset_dir(self, folder):
        (folder / "images").mkdir()
        rows = [{"image": f"SYNTHETIC_{n}.png", "patient_id": f"s{n}", "Mass": n % 2, "Nodule": ""} for n in range(4)]
        for row in rows:
            Image.fromarray(np.zeros((4, 6), np.uint8)).save(folder / "images" / row["image"])
        write_csv(folder / "labels.csv", list(rows[0]), rows)
