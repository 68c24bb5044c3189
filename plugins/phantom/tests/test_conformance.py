from medkit.testing import DatasetConformance


class TestPhantom(DatasetConformance):
    component = "phantom"
    options = {"images": 60, "quiet": True}
    not_applicable = {"test_a_missing_folder_is_a_data_error": "it makes the folder"}

    def make_dataset_dir(self, folder):
        """Nothing: the part draws its own."""
