import html
import re

import numpy as np
import pytest
from PIL import Image

import medkit
from medkit.errors import ConfigError
from medkit.lookalikes import look_alikes

CLASSES = ["benign", "malignant", "normal"]


@pytest.fixture
def images(tmp_path):
    """Nine noisy images of different shapes; the last is the fifth, byte for byte."""
    random = np.random.default_rng(2)
    paths = []
    for index in range(9):
        path = tmp_path / "data" / CLASSES[index % 3] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if index == 8:
            path.write_bytes(paths[4].read_bytes())
        else:
            noise = random.integers(0, 255, (6, 8), np.uint8)
            Image.fromarray(noise).resize((80 + 8 * index, 60)).save(path)
        paths.append(path)
    return paths


@pytest.fixture
def run(segmentation_run, images, tmp_path):
    return segmentation_run(tmp_path / "run", images, look_alikes=look_alikes(images, 160))


@pytest.fixture
def page(run, reader):
    def write(**options):
        options = {"negative": "normal", "gate": str(run / "models" / "gate.json"), **options}
        path = medkit.handler(
            "html_report", run_dir=str(run), findings=CLASSES, reader=reader, quiet=True, **options
        ).run()
        return path.read_text(encoding="utf-8")

    return write


def text_of(page):
    body = re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def card(page, number):
    return page.split(f'id="image-{number}"')[1].split("</article>")[0]


def test_a_masks_outline_lies_over_its_image_in_its_frame(page):
    text = page()
    outlined = [number for number in range(1, 10) if 'class="line outline"' in card(text, number)]
    assert outlined == [1, 2, 5, 6, 8]  # lesions but the missed one and the one without a mask, and a false one
    first = card(text, 1)
    assert 'viewBox="0 0 80 60"' in first
    points = re.search(r'outline" d="([^"]+)"', first).group(1)
    numbers = [float(v) for v in re.findall(r"[\d.]+", points)]
    assert max(numbers[::2]) < 80
    assert max(numbers[1::2]) < 60
    assert points.count("Z") == 2  # the hole has an edge too
    assert "> Outline</label>" in first


def test_what_the_gate_did_is_said(page):
    text = page()
    assert "No lesion outlined: the classifier gave P(lesion) = 0.12, below 0.40." in text_of(card(text, 4))
    assert "pixels would be outlined" in text_of(card(text, 4))
    assert "Not segmented: no frame" in text_of(card(text, 7))
    assert "below the threshold" in text_of(card(page(gate=None), 4))


def test_area_is_in_square_millimetres_where_a_spacing_is_known(page, reader, run, monkeypatch):
    said = text_of(card(page(), 1))
    pixels, area = re.search(r"Lesion outlined: (\d+) pixels, [\d.]+ % of the image, ([\d.]+) mm²", said).groups()
    assert float(area) == pytest.approx(int(pixels) * 0.5 * 0.25, rel=1e-3)
    plain = type(reader).get_data

    def without(self, img):
        pixels, meta = plain(self, img)
        meta["source"].pop("spacing_mm")
        return pixels, meta

    monkeypatch.setattr(type(reader), "get_data", without)
    assert "mm²" not in text_of(card(page(), 1))


def test_the_class_for_nothing_found_is_no_finding(page):
    text = page()
    assert "No finding reaches its operating point." in text_of(card(text, 3))
    with_normal = page(negative=None)
    assert "Above the operating point: normal" in text_of(card(with_normal, 3))
    tiles = [int(re.search(r"with a finding</dt><dd>(\d+)", t).group(1)) for t in (text, with_normal)]
    assert tiles[0] < tiles[1]
    with pytest.raises(ConfigError, match='Did you mean "normal"'):
        page(negative="norml")


def test_what_the_gate_costs_stands_beside_what_it_gains(page):
    text = page()
    assert "1 of 5 with one, which it removed" in text_of(text)
    rows = dict(re.findall(r'<tr><th scope="row">([^<]+)(.*?)</tr>', text.split('id="gate"')[1], re.S))
    assert "hurts" in rows["Mean IoU, images with a lesion"]
    assert "hurts" not in rows["Mean IoU, normal images"]
    assert "+0.667" in rows["Mean IoU, normal images"]
    assert "n = 4" in rows["HD95 in pixels, lesions found"]


def test_accuracy_and_confusion_are_shown(page):
    text = page()
    assert "Accuracy, anything or nothing" in text
    table = re.search(r'<table id="confusion">.*?</table>', text, re.S).group()
    counts = [int(n) for n in re.findall(r'<td class="num(?: hit)?">(\d+)', table)]
    assert (len(counts), sum(counts)) == (9, 9)
    assert "Boxes hit" not in text  # a classifier has none


def test_look_alikes_are_listed_and_shown_where_the_data_is(page, tmp_path):
    text = page()
    assert "2 of the data set's 9 images look like another one" in text_of(text)
    section = text.split('id="look-alikes"')[1].split("</section>")[0]
    assert "identical files" in section
    assert "<img" not in section
    section = page(data_dir=str(tmp_path / "data")).split('id="look-alikes"')[1].split("</section>")[0]
    assert section.count("<img") == 2
    assert "<img" not in page(data_dir=str(tmp_path)).split('id="look-alikes"')[1].split("</section>")[0]


def test_the_page_still_needs_nothing_but_itself(page, tmp_path):
    text = page(data_dir=str(tmp_path / "data"))
    for source in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert source.startswith(("data:image/webp;base64,", "#"))


def test_a_run_without_masks_has_no_word_about_them(page, run):
    for path in ("segmentation.csv", "segmentation/metrics.json"):
        (run / path).unlink()
    for path in (run / "look_alikes").iterdir():
        path.unlink()
    text = text_of(page())
    assert not re.search("outline(?! of disease)|look-alike|before the gate", text, re.I)
