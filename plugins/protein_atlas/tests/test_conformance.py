from medkit.testing import DatasetConformance


def put_images(folder):
    for n in range(60):
        for colour in ("red", "green", "blue", "yellow"):
            (folder / f"{n:02d}_{colour}.png").touch()


class TestProteinAtlas(DatasetConformance):
    component = "protein_atlas"

    def make_dataset_dir(self, folder):
        put_images(folder)
        (folder / "train.csv").write_text("Id,Target\n" + "".join(f"{n:02d},{n % 3} {3 + n % 2}\n" for n in range(60)))


class TestProteinAtlasFolder(DatasetConformance):
    component = "protein_atlas_folder"
    sections = ("all",)

    def make_dataset_dir(self, folder):
        put_images(folder)
