"""Facts of patients: from files and tables into channels, and from channels into logits."""

import gzip

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from torch import nn

import medkit
from medkit.errors import ConfigError, DataError

NIH = "Image Index,Patient Age,Patient Gender,View Position\na.png,70,F,PA\nb.png,030Y,M,AP\nc.png,,,\n"
STATED = {"patient_age_years": 60.0, "patient_sex": "M", "view_position": "AP"}
FACTS = {"age": {"column": "Age", "centre": 50, "scale": 20}, "smokes": {"value": "yes"}}


def image(stated=None, rows=3, columns=5):
    meta = {"source": stated or {}, "spatial_shape": np.array([rows, columns])}
    return MetaTensor(torch.rand(1, rows, columns, generator=torch.Generator().manual_seed(0)), torch.eye(4), meta)


def channels(file="a.png", stated=None, **options):
    given = image(stated)
    found = medkit.transform("fact_channels", **options)({"image": given, "file": f"/somewhere/{file}", "label": 1})
    assert found["label"] == 1
    assert torch.equal(found["image"][0].as_tensor(), given[0].as_tensor())
    assert found["image"].shape[1:] == given.shape[1:]
    assert all((channel == channel[0, 0]).all() for channel in found["image"][1:])
    return [round(float(channel[0, 0]), 6) for channel in found["image"][1:]]


@pytest.mark.parametrize("zipped", [False, True])
def test_facts_come_from_nihs_table(tmp_path, zipped):
    table = tmp_path / ("facts.csv.gz" if zipped else "facts.csv")
    table.write_bytes(gzip.compress(NIH.encode()) if zipped else NIH.encode())
    numbers = [channels(f"{name}.png", table=str(table)) for name in "abcz"]
    assert numbers == [[1, 1, -1], [-1, -1, 1], [0, 0, 0], [0, 0, 0]]


def test_what_the_table_does_not_say_the_file_may(tmp_path):
    (tmp_path / "facts.csv").write_text(NIH)
    assert channels("c.png", STATED) == channels("c.png", STATED, table=str(tmp_path / "facts.csv")) == [0.5, -1, 1]
    assert channels("a.png", STATED, table=str(tmp_path / "facts.csv")) == [1, 1, -1]


def test_any_column_can_be_a_fact(tmp_path):
    (tmp_path / "facts.csv").write_text("file,Age,smokes\nin/a.png,40,Yes\nin/b.png,50,no\n")
    options = {"facts": FACTS, "table": str(tmp_path / "facts.csv"), "image_column": "file"}
    assert [channels(f"{name}.png", **options) for name in "ab"] == [[-0.5, 1], [0, -1]]


def test_the_way_back_to_the_original_pixels_is_kept():
    compose = medkit.SafeCompose([medkit.transform("fact_channels")], (3, 5), 1, channels=4, strict=True)
    sample = compose({"image": image(STATED)})
    np.testing.assert_array_equal(sample["frame_affine"], np.eye(3))
    assert sample["image"].shape == (4, 3, 5)


def test_a_phantoms_dicom_file_says_age_sex_and_view(tmp_path):
    folder = tmp_path / "phantom"
    options = {"images": 60, "quiet": True}
    data = medkit.dataset("phantom", "training", None, fallback="phantom", fallback_options=options, work_dir=folder)
    transforms = [medkit.transform("load_image", keys="image"), medkit.transform("fact_channels")]
    compose = medkit.SafeCompose(transforms, (1, 1), 8, channels=4, strict=True)
    dicom = next(sample for sample in data if sample["image"].endswith(".dcm"))
    facts = compose(dicom)["image"][1:, 0, 0]
    assert facts[0] != 0
    assert set(facts[1:].tolist()) <= {-1, 1}


def network(**options):
    torch.manual_seed(0)
    given = {"in_channels": 1, "out_channels": 2, "facts": 3, "network": {"component": "resnet18"}}
    return medkit.network("with_facts", **{**given, **options}).eval()


def test_in_the_beginning_the_image_alone_speaks():
    whole = network()
    x = torch.rand(3, 4, 32, 48)
    assert torch.equal(whole(x), whole.network(x[:, :1]))


def test_logits_are_those_of_the_image_plus_those_of_the_facts():
    whole = network()
    nn.init.normal_(whole.of_facts[-1].weight)
    x = torch.rand(3, 4, 32, 48)
    x[:, 1:] = torch.tensor([[1.0, -1, 0], [0.5, 1, 1], [0, 0, 0]])[:, :, None, None]
    torch.testing.assert_close(whole(x), whole.network(x[:, :1]) + whole.of_facts(x[:, 1:, 0, 0]))
    torch.testing.assert_close(whole(x[2:]), whole(x[2:, :1]))  # of whom nothing is known


def test_heat_maps_are_those_of_the_network_of_the_image():
    whole = network()
    nn.init.normal_(whole.of_facts[-1].weight)
    x = torch.rand(2, 4, 64, 64)
    grad_cam = medkit.localizer("grad_cam")
    torch.testing.assert_close(grad_cam(x, whole)[1], grad_cam(x[:, :1], whole.network)[1])


def test_it_learns_what_only_the_facts_tell():
    whole = network(network={"component": "simple_cnn", "spatial_size": 16}).train()
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(64, 4, 16, 16, generator=draw)
    sex = torch.randint(0, 2, (64,), generator=draw).float()
    x[:, 1:] = 0
    x[:, 2] = (2 * sex - 1)[:, None, None]
    labels = torch.stack([sex, 1 - sex], 1)
    optimizer = torch.optim.Adam(whole.parameters(), lr=0.02)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(whole(x), labels).backward()
        optimizer.step()
    assert ((whole(x) > 0) == labels.bool()).float().mean() > 0.95


def test_wrong_options_say_what_to_give(tmp_path):
    table = tmp_path / "facts.csv"
    with pytest.raises(ConfigError, match="there is no table"):
        channels(table=str(table))
    table.write_text("image,age\na.png,70\n")
    with pytest.raises(ConfigError, match=r"has no column Image Index. It has: image, age"):
        channels(table=str(table))
    table.write_text("Image Index,age\na.png,old\n")
    with pytest.raises(DataError, match='"old" is no number'):
        channels(table=str(table), facts={"age": {}})
    table.write_text("Image Index,age\na.png,1\nx/a.png,2\n")
    with pytest.raises(DataError, match=r"a.png stands in two rows"):
        channels(table=str(table), facts={"age": {}})
    with pytest.raises(ConfigError, match=r'no option "center". Did you mean "centre"'):
        channels(facts={"age": {"center": 50}})
    with pytest.raises(ConfigError, match="scale is 0"):
        channels(facts={"age": {"scale": 0}})
    with pytest.raises(ConfigError, match="facts is empty"):
        channels(facts={})
    with pytest.raises(ConfigError, match="in front of what reads the image"):
        medkit.transform("fact_channels")({"image": "a.png"})
    with pytest.raises(ConfigError, match="facts 0, hidden 16: give at least 1"):
        network(facts=0)
    with pytest.raises(ConfigError, match=r"give \{component: NAME"):
        network(network={})
    with pytest.raises(DataError, match="images of 3 channels: give 1, or 3 more"):
        network()(torch.rand(1, 3, 32, 32))
