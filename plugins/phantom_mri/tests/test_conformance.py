from medkit.testing import DatasetConformance


class TestPhantomMri(DatasetConformance):
    component = "phantom_mri"
    options = {"images": 40, "size": 32, "quiet": True}
    not_applicable = {"test_a_missing_folder_is_a_data_error": "it makes the folder"}

    def make_dataset_dir(self, folder):
        """Nothing: the part draws its own."""
