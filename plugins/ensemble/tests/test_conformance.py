from pathlib import Path

import numpy as np

from medkit.testing import DatasetConformance

GIVEN = "its samples are given, of one section already"


class TestSelectedFindings(DatasetConformance):
    component = "selected_findings"
    sections = ("training",)
    not_applicable = {
        "test_a_missing_folder_is_a_data_error": GIVEN,
        "test_an_unknown_section_is_an_error": GIVEN,
    }

    def make_dataset_dir(self, folder):
        for n in range(4):
            (folder / f"{n}.png").touch()

    @property
    def options(self):
        label, boxes = np.array([1, 0, np.nan], np.float32), np.array([[0, 1, 2, 3, 4]], np.float32)
        paths = [Path(self.dataset_dir, f"{n}.png") for n in range(4)]
        data = [{"image": str(path), "label": label, "boxes": boxes, "patient_id": path.stem} for path in paths]
        return {"data": data, "findings": ["Mass", "Nodule", "Hernia"], "selected": ["Hernia", "Mass"]}
