from pathlib import Path

import numpy as np

from medkit.testing import DatasetConformance


class TestFolds(DatasetConformance):
    component = "folds"
    not_applicable = {"test_a_missing_folder_is_a_data_error": "it makes the folder for its table"}

    def make_dataset_dir(self, folder):
        for n in range(40):
            (folder / f"{n}.png").touch()

    @property
    def options(self):
        label = np.eye(2, dtype=np.float32)
        return {
            "data": [
                {"image": str(Path(self.dataset_dir, f"{n}.png")), "label": label[n % 2], "patient_id": f"p{n // 3}"}
                for n in range(40)
            ]
        }
