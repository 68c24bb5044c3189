from medkit.testing import DatasetConformance


class TestChestXray(DatasetConformance):
    component = "chest_xray"
    options = {"findings": ["Mass", "Effusion"], "validation_fraction": 0.2, "test_fraction": 0.2}

    def make_dataset_dir(self, folder):
        rows = ["image,patient_id,Mass,Effusion"]
        boxes = ["image,finding,x_min,y_min,x_max,y_max"]
        for n in range(40):
            (folder / f"{n}.png").touch()
            rows.append(f"{n}.png,p{n // 2},{n % 2},{'' if n % 5 == 0 else n % 3 // 2}")
            boxes += [f"{n}.png,Mass,{n},2,{n + 20},30.5"] * (n % 2)
        (folder / "labels.csv").write_text("\n".join(rows))
        (folder / "boxes.csv").write_text("\n".join(boxes))
