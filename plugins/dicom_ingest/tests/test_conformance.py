from medkit.tables import write_csv
from medkit.testing import DatasetConformance


class TestDicomFolder(DatasetConformance):
    component = "dicom_folder"
    sections = ("all",)

    def make_dataset_dir(self, folder):
        for name in ("10.dcm", "2.dcm", "a.png"):
            (folder / name).touch()


class TestIngested(DatasetConformance):
    component = "ingested"
    sections = ("all",)

    def make_dataset_dir(self, folder):
        (folder / "images").mkdir()
        rows = [{"output": f"images/{n}.png", "patient_key": f"k{n // 2}", "synthetic": n > 2} for n in range(6)]
        for row in rows:
            (folder / row["output"]).touch()
        write_csv(folder / "manifest.csv", list(rows[0]), rows)
