from pathlib import Path

import numpy as np

from medkit.card import write_card
from medkit.files import sha256
from medkit.tables import write_csv
from medkit.testing import DatasetConformance

FINDINGS = ["Mass", "Nodule"]
GIVEN = "its samples are given, of one section already"
NO_SECTIONS = {
    "test_a_missing_folder_is_a_data_error": GIVEN,
    "test_an_unknown_section_is_an_error": GIVEN,
}


def put_images(folder):
    for n in range(12):
        (folder / f"{n}.png").write_bytes(b"image %d" % n)


def samples(folder, numbers, label):
    paths = [(n, Path(folder, f"{n}.png")) for n in numbers]
    return [{"image": str(path), "label": np.array(label, np.float32), "patient_id": f"p{n // 2}"} for n, path in paths]


class TestLabelledPart(DatasetConformance):
    component = "labelled_part"
    sections = ("training",)
    not_applicable = NO_SECTIONS

    def make_dataset_dir(self, folder):
        put_images(folder)

    @property
    def options(self):
        return {"data": samples(self.dataset_dir, range(12), [1, 0]), "labelled": 0.5}


class TestPseudoLabelled(DatasetConformance):
    component = "pseudo_labelled"
    sections = ("training",)
    not_applicable = {"test_an_unknown_section_is_an_error": GIVEN}

    def make_dataset_dir(self, folder):
        put_images(folder)
        (folder / "model.pt").write_bytes(b"weights")
        write_card(folder / "model.pt", labels=FINDINGS)
        about = {"teacher_sha256": sha256(folder / "model.pt"), "round": 1, "Mass": 1, "Nodule": ""}
        rows = [{"file": str(folder / f"{n}.png"), **about} for n in range(6, 9)]
        write_csv(folder / "pseudo_labels.csv", list(rows[0]), rows)

    @property
    def options(self):
        labelled = samples(self.dataset_dir, range(6), [1, 0])
        unlabelled = samples(self.dataset_dir, range(6, 12), [np.nan, np.nan])
        given = {"labelled": labelled, "unlabelled": unlabelled, "findings": FINDINGS}
        return {**given, "teacher": str(Path(self.dataset_dir, "model.pt"))}
