from medkit.testing import DatasetConformance


class TestPhantomCells(DatasetConformance):
    component = "phantom_cells"
    options = {"images": 84, "minimum": 3, "size": 64, "quiet": True}
    not_applicable = {"test_a_missing_folder_is_a_data_error": "it makes the folder"}

    def make_dataset_dir(self, folder):
        """Nothing: the part draws its own."""
