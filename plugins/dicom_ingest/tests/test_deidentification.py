"""What identifies a patient stays behind: every attribute of PS3.15's Basic Profile is planted, and looked for."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as profile
from medkit_dicom_ingest.facts import Source
from medkit_dicom_ingest.ingest.identity import LINKS, read_secret, without_identifiers
from medkit_dicom_ingest.ingest.shareable import DICOM_SOURCES, age_band, shareable
from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.tag import Tag

from medkit.errors import ConfigError

from .ingesting import rows, run

RAMP = np.linspace(0, 4095, 30 * 20, dtype=np.uint16).reshape(30, 20)
TEXT = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
WHY_KEPT = {
    "PatientSex": "one of M, F, O; the issue of a data set is often by sex (Retain Patient Characteristics Option)",
    "PatientAge": "a band of ten years (Retain Patient Characteristics Option)",
}


def listed() -> set[tuple[int, int]]:
    """Return the tags of the Basic Profile that have one group and element."""
    names = [name for name in dir(profile) if name.endswith("_TAGS")]
    return {tag for name in names for tag in getattr(profile, name) if len(tag) == 2}


def planted(dicom) -> tuple[Dataset, dict[str, str]]:
    """Return an image in which each listed attribute, and private, nested and file ones, hold a mark of their own."""
    dataset = dicom(RAMP, BitsStored=12, BurnedInAnnotation="NO", ViewPosition="PA")
    marks = {}
    for number, tag in enumerate(sorted(listed())):
        try:
            vr = dictionary_VR(tag)
        except KeyError:
            continue
        mark = f"ZQ{number:04d}XK"
        if vr == "UI":
            value, mark = f"1.2.826.0.{70000000 + number}", str(70000000 + number)
        elif vr == "DA":
            value = mark = f"19{number // 28 % 100:02d}12{number % 28 + 1:02d}"
        elif vr in TEXT:
            value = mark
        elif vr == "SQ":
            value = [Dataset()]
            value[0].add_new("CodeMeaning", "LO", mark)
        elif vr in ("OB", "OW", "UN"):
            value = mark.encode()
        else:
            continue
        if Tag(tag).group not in (0, 2) and Tag(tag) not in (Tag("SOPClassUID"), Tag("PatientSex"), Tag("PixelData")):
            dataset.add_new(tag, vr, value)
            marks[str(Tag(tag))] = mark
    dataset.private_block(0x0031, "VENDOR", create=True).add_new(1, "LO", "ZQPRIVATEXK")
    dataset.file_meta.SourceApplicationEntityTitle = "ZQSOURCEAEXK"
    dataset.BodyPartExamined = "ZQFREETEXTXK"
    dataset.PatientAge = "045Y"
    return dataset, {**marks, "private": "ZQPRIVATEXK", "meta": "ZQSOURCEAEXK", "free text": "ZQFREETEXTXK"}


def survivors(folder: Path, marks: dict[str, str]) -> list[str]:
    """Return which marks are anywhere in the folder, in a name or in a file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    content = b"\n".join([str(path.relative_to(folder)).encode() + path.read_bytes() for path in files])
    return [name for name, mark in marks.items() if mark.encode() in content]


def test_no_listed_attribute_survives(dicom, write, tmp_path):
    dataset, marks = planted(dicom)
    assert len(marks) > 400
    source = Path(write(dataset, "scan.dcm"))
    assert survivors(source.parent, marks) == list(marks)
    assert run(source, tmp_path / "out").outputs == 1
    assert survivors(tmp_path / "out", marks) == []


def test_identifiers_stay_where_they_are_asked_for(dicom, write, tmp_path):
    dataset, marks = planted(dicom)
    run(Path(write(dataset, "scan.dcm")), tmp_path / "out", identifiers=True)
    (row,) = rows(tmp_path / "out")
    asked = {str(Tag(tag_for_keyword(keyword))) for keyword in LINKS}
    assert {*survivors(tmp_path / "out", marks)} == asked & marks.keys()
    assert row["patient_id"] == str(dataset.PatientID)
    assert row["accession_number"] == str(dataset.AccessionNumber)


def test_uids_stay_by_option_and_nothing_else_does(dicom, write, tmp_path):
    dataset, marks = planted(dicom)
    run(Path(write(dataset, "scan.dcm")), tmp_path / "out", uids=True)
    kept = {str(Tag(tag_for_keyword(f"{level}InstanceUID"))) for level in ("Study", "Series", "SOP")}
    assert {*survivors(tmp_path / "out", marks)} <= kept
    (row,) = rows(tmp_path / "out")
    assert row["study_instance_uid"] == str(dataset.StudyInstanceUID)


def test_whatever_facts_are_taken_from_is_not_in_the_basic_profile():
    taken = {keyword for keywords in DICOM_SOURCES.values() for keyword in keywords}
    found = {keyword for keyword in taken if (Tag(keyword).group, Tag(keyword).element) in listed()}
    assert found == set(WHY_KEPT)


def test_ages_are_given_in_bands():
    ages = [None, 0, 0.5, 17, 18, 29, 30, 89, 90]
    assert [age_band(age) for age in ages] == [
        "", "0-17", "0-17", "0-17", "18-29", "18-29", "30-39", "80-89", "90+"]  # fmt: skip


@pytest.mark.parametrize(("path", "hidden"), [
    ("DOE^JOHN/1.dcm", [0]), ("a/john_doe-7/x.dcm", [1]), ("mrn/PAT-0042/im1.dcm", [1]), ("1970/19700102/z.dcm", [1]),
    ("s/1.2.826.99.dcm", [1]), ("doer/johnson/pat-00423/im.dcm", []), ("acc.77x/acc77/q.dcm", [1]),
])  # fmt: skip
def test_names_of_folders_and_files_lose_what_identifies(path, hidden):
    dataset = Dataset()
    dataset.PatientName, dataset.PatientID, dataset.AccessionNumber = "Doe^John", "PAT-0042", "ACC77"
    dataset.PatientBirthDate, dataset.SOPInstanceUID = "19700102", "1.2.826.99"
    parts = without_identifiers(path, dataset, b"0" * 32, uids_stay=False).split("/")
    pairs = zip(path.split("/"), parts, strict=True)
    assert [n for n, (before, after) in enumerate(pairs) if before != after] == hidden
    assert all(part.startswith("~") for n, part in enumerate(parts) if n in hidden)


def test_the_same_patient_has_the_same_key_and_another_secret_gives_another(dicom, write, tmp_path):
    for name, number in (("a.dcm", "1"), ("b.dcm", "1 "), ("c.dcm", "2"), ("d.dcm", "")):
        write(dicom(RAMP, PatientID=number, BurnedInAnnotation="NO", SOPInstanceUID=f"1.2.{ord(name[0])}"), name)
    keys = []
    for out in ("one", "two"):
        run(tmp_path, tmp_path / out, secret_file=tmp_path / f".{out}.secret")
        keys.append([row["patient_key"] for row in rows(tmp_path / out)])
    for a, b, c, d in keys:
        assert a == b != c
        assert d == ""
        assert len(a) == 32
    assert not {*keys[0][:3]} & {*keys[1][:3]}
    assert not [path for path in (tmp_path / "one").rglob("*") if "secret" in path.name]


def test_the_secret_is_its_owners_and_must_be_one(tmp_path):
    path = tmp_path / "deep" / "secret"
    assert read_secret(path) == read_secret(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("short")
    with pytest.raises(ConfigError, match=r"has 5 bytes, expected 16"):
        read_secret(path)


def test_the_key_file_links_back_and_is_its_owners(dicom, write, tmp_path):
    (tmp_path / "in").mkdir()
    for name, number in (("2.dcm", "A2"), ("10.dcm", "A10")):
        write(dicom(RAMP, PatientID="P", AccessionNumber=number, StudyInstanceUID="1.2.3"), f"in/{name}")
    key_file = tmp_path / "private" / "keys.csv"
    run(tmp_path / "in", tmp_path / "out", key_file=key_file)
    write(dicom(RAMP, PatientID="P", AccessionNumber="A11"), "in/11.dcm")
    (tmp_path / "in" / "2.dcm").unlink()
    run(tmp_path / "in", tmp_path / "out", key_file=key_file)
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert [path.name for path in key_file.parent.iterdir()] == ["keys.csv"]
    links = {row["source"]: row for row in rows(key_file.parent, "keys.csv")}
    assert {name: row["accession_number"] for name, row in links.items()} == {
        "2.dcm": "A2", "10.dcm": "A10", "11.dcm": "A11"}  # fmt: skip
    assert links["2.dcm"]["study_instance_uid"] == "1.2.3"
    made = {row["source_sha256"] for row in rows(tmp_path / "out")}
    assert made == {row["source_sha256"] for row in links.values()}


def test_facts_with_free_text_lose_it():
    smith = dict.fromkeys(("body_part", "view_position", "laterality", "modality", "orientation"), "SMITHSON")
    free = Source(1, 1, "DICOM", **{**smith, "body_part": "CHEST SMITH"}, patient_age_years=47)
    kept = shareable(free)
    assert (kept.body_part, kept.view_position, kept.patient_age_years) == ("CHEST", "OTHER", 40)
    assert (kept.laterality, kept.modality, kept.orientation) == ("", "", "")
