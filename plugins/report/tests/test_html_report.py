import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import medkit
from medkit.errors import DataError

FINDINGS = ["Effusion", "Mass", "Nodule"]


class Page(HTMLParser):
    """All start tags with their attributes, and the text outside script and style."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._inside = [], "", ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data):
        if self._inside not in ("script", "style"):
            self.text += data

    def all(self, tag, **wanted):
        return [a for t, a in self.tags if t == tag and all(a.get(k.rstrip("_")) == v for k, v in wanted.items())]


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    names = ["b.png", '<script>alert(1)<&quot;" onerror=x.png', "a\u202egnp.png"]
    random = np.random.default_rng(1)
    for name in names:
        Image.fromarray(random.integers(0, 255, (32, 64), np.uint8)).save(folder / name)
    return [folder / name for name in names]


def report(folder, reader, **options):
    options = {"quiet": True, **options}
    path = medkit.handler("html_report", run_dir=str(folder), findings=FINDINGS, reader=reader, **options).run()
    return path.read_text(encoding="utf-8")


def test_page_needs_nothing_but_itself(fake_run, images, reader, tmp_path):
    text = report(fake_run(tmp_path / "run", images, evaluation=60), reader)
    page = Page(text)
    for _, attributes in page.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            assert re.match(r"data:image/webp;base64,|#|$", attributes.get(name) or "")
    style = re.search(r"<style>(.*?)</style>", text, re.S).group(1)
    assert "url(" not in style
    assert "@import" not in style
    assert not page.all("link")
    (policy,) = [attributes["content"] for _, attributes in page.tags if "http-equiv" in attributes]
    assert policy.startswith("default-src 'none'")


def test_the_pages_own_script_is_the_only_one_that_may_run(fake_run, images, reader, tmp_path):
    text = report(fake_run(tmp_path / "run", images), reader)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in text


def test_hostile_file_names_and_reasons_stay_text(fake_run, images, reader, tmp_path):
    reason = "<img src=x onerror=alert(1)>"
    text = report(fake_run(tmp_path / "run", images, status={0: ("error", reason)}), reader)
    page = Page(text)
    assert len(page.all("script")) == 1
    assert reason in page.text
    assert images[1].name in page.text
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "\u202e" not in text


@pytest.mark.parametrize("synthetic", [True, False])
def test_synthetic_is_said_on_every_image_or_nowhere(fake_run, images, reader, tmp_path, synthetic):
    page = Page(report(fake_run(tmp_path / "run", images, synthetic=synthetic, evaluation=60), reader))
    assert page.text.count("SYNTHETIC") >= (1 + 2 * len(images) if synthetic else 0)
    assert ("SYNTHETIC" in page.text) is synthetic
    assert len(page.all("p", class_="synthetic")) == (1 + len(images) if synthetic else 0)
    assert "Not for diagnosis" in page.text


def test_real_images_read_by_a_synthetic_model_say_so(fake_run, images, reader, tmp_path):
    model = fake_run(tmp_path / "model", [], synthetic=True)
    run = fake_run(tmp_path / "run", images, synthetic=False)
    page = Page(report(run, reader, model_dir=str(model)))
    assert page.text.count("its output means nothing") == 1 + len(images)


def test_boxes_and_heat_maps_lie_over_the_image(fake_run, images, reader, tmp_path):
    page = Page(report(fake_run(tmp_path / "run", images), reader))
    assert page.all("svg", viewbox="0 0 64 32")
    assert page.all("image", transform="matrix(64 0 0 32 0 0)", width="1", height="1")
    assert page.all("rect", class_="halo")
    assert "31.2 × 25.0 mm" in page.text
    assert any(
        "--aspect:1.00000" in (a.get("style") or "") for a in page.all("div", class_="stage")
    )  # 0.25 mm by 0.5 mm


def test_what_cannot_be_opened_again_is_said(fake_run, images, reader, tmp_path):
    folder = fake_run(tmp_path / "run", images)
    images[0].unlink()
    page = Page(report(folder, reader))
    assert "the file could not be opened again" in page.text
    assert len(page.all("article")) == 3


@pytest.mark.parametrize("count", [0, 1])
def test_page_of_few_files(fake_run, images, reader, tmp_path, count):
    page = Page(report(fake_run(tmp_path / "run", images[:count]), reader))
    assert len(page.all("article")) == count
    assert ("given no files" in page.text) is (count == 0)


def test_many_files_keep_their_rows_when_images_are_capped(fake_run, images, reader, tmp_path):
    folder = fake_run(tmp_path / "run", images * 20)
    text = report(folder, reader, max_images=7)
    page = Page(text)
    assert len(page.all("article")) == 7
    assert len(page.all("th", scope="row")) == 60
    assert "first 7 of 60 files" in page.text
    assert len(Page(report(folder, reader, max_megabytes=0.00001)).all("article")) == 1


def test_scores_come_with_interval_count_and_reason(fake_run, images, reader, tmp_path):
    page = Page(report(fake_run(tmp_path / "run", images, evaluation=60), reader))
    text = " ".join(page.text.split())
    assert "not measurable: no positives" in text
    assert "Not measurable and in no mean: Nodule." in text
    assert "n = 60" in text
    assert len([a for a in page.all("svg") if "ROC curve" in (a.get("aria-label") or "")]) == 2
    assert len([a for a in page.all("svg") if "by epoch" in (a.get("aria-label") or "")]) == 3


def test_facts_and_warnings_of_the_file_are_shown(fake_run, images, reader, tmp_path):
    class Warned(type(reader)):
        def get_data(self, img):
            pixels, meta = super().get_data(img)
            meta["source"] |= {"warnings": ["window <not> usable"], "for_processing": True, "patient_sex": "F"}
            return pixels, meta

    text = Page(report(fake_run(tmp_path / "run", images), Warned())).text
    assert "0.5 mm down, 0.25 mm across (ImagerPixelSpacing)" in text
    assert "window <not> usable" in text
    assert "detector data that was not made for viewing" in text


def test_a_folder_without_predictions_is_named(reader, tmp_path):
    with pytest.raises(DataError, match="run the inference stage first"):
        report(tmp_path, reader)


def test_predictions_of_other_findings_are_refused(fake_run, images, reader, tmp_path):
    folder = fake_run(tmp_path / "run", images, findings=["Hernia"])
    with pytest.raises(DataError, match="probability_Effusion"):
        report(folder, reader)
