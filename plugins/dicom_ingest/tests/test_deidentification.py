"""What identifies a patient stays behind: every attribute of PS3.15's Basic Profile is planted, and looked for."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as profile
from medkit_dicom_ingest.carried import WORDS
from medkit_dicom_ingest.facts import Source
from medkit_dicom_ingest.ingest.identity import LINKS, read_secret
from medkit_dicom_ingest.ingest.names import identifying_parts
from medkit_dicom_ingest.ingest.png import encode_png
from medkit_dicom_ingest.ingest.shareable import DICOM_SOURCES, age_band, shareable
from medkit_dicom_ingest.reader import read_picture
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


PERSON = {
    "PatientName": "Müller-Große^Erika", "PatientBirthName": "Geburtsname^Erika", "ReferringPhysicianName": "Smith^J",
    "OtherPatientNames": "山田^太郎", "PatientID": "PAT-004711", "OtherPatientIDs": ["OLD77", "X9-12"], "StudyID": "7",
    "AccessionNumber": "ACC998877", "PatientBirthDate": "19610203", "StudyDate": "20240131",
    "SOPInstanceUID": "1.2.826.99", "OperatorsName": "Li^Wu",
}  # fmt: skip
TELLING = """
MUELLER^ERIKA/1.dcm muller/1.dcm x/Müller.dcm x/Mu\u0308ller.dcm grosse/1.dcm GROßE/1.dcm ErikaM/1.dcm a_Erika1/1.dcm
Geburtsname/1.dcm dr_smith/1.dcm 山田/1.dcm 山田太郎/1.dcm li_wu/1.dcm
PAT-004711/1.dcm pat004711/1.dcm pat_004711/1.dcm id_4711/1.dcm study4711b/1.dcm old77/1.dcm X9_12/1.dcm x912/1.dcm
acc 998877/1.dcm xACC998877/1.dcm 7/1.dcm
19610203/1.dcm 1961-02-03/1.dcm 03.02.1961/1.dcm 3.2.1961/1.dcm born19610203/1.dcm 02-03-1961/1.dcm 610203/1.dcm
2024-01-31/1.dcm 31012024/1.dcm 20240131T1200/1.dcm x/1.2.826.99.dcm x/1_2_826_99.dcm
""".replace("acc 998877", "acc~998877").split()
HARMLESS = ["im0001.dcm", "series2/17.dcm", "client/liver.dcm", "a/b/c.dcm", "2023-11-05/5.dcm", "chest/DX_000012.dcm"]


def person() -> Dataset:
    dataset = Dataset()
    for keyword, value in PERSON.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize("path", [path.replace("~", " ") for path in TELLING])
def test_names_of_folders_and_files_that_tell_who_it_is_are_found(path):
    (part,) = identifying_parts(path, person(), uids_stay=False)
    assert part in path.split("/")
    assert part not in ("1.dcm", "x")


def test_names_in_the_bytes_of_old_servers_are_found():
    path = os.fsdecode("Müller".encode("latin-1")) + "/1.dcm"
    assert identifying_parts(path, person(), uids_stay=False) == [path.split("/")[0]]


@pytest.mark.parametrize("path", HARMLESS)
def test_names_that_tell_nothing_stay(path):
    assert identifying_parts(path, person(), uids_stay=False) == []


def test_uids_in_names_stay_where_uids_do():
    assert identifying_parts("x/1.2.826.99.dcm", person(), uids_stay=True) == []


def test_a_name_that_one_file_gives_away_is_hidden_for_all(dicom, write, tmp_path):
    (tmp_path / "in" / "doe_john").mkdir(parents=True)
    write(dicom(RAMP, PatientName="Doe^John", BurnedInAnnotation="NO"), "in/doe_john/1.dcm")
    write(dicom(RAMP, PatientName="", BurnedInAnnotation="NO", SOPInstanceUID="1.2.3"), "in/doe_john/2.dcm")
    (tmp_path / "in" / "doe_john" / "photo.png").write_bytes(encode_png(np.zeros((4, 4), np.uint8)))
    run(tmp_path / "in", tmp_path / "out")
    sources = [row["source"] for row in rows(tmp_path / "out")]
    assert [source.split("/")[1] for source in sources] == ["1.dcm", "2.dcm", "photo.png"]
    (folder,) = {source.split("/")[0] for source in sources}
    assert folder.startswith("~")


def test_a_bitmap_cannot_bring_text_into_the_manifest(tmp_path):
    mark = "DOE JOHN 1970"
    forged = dict.fromkeys(WORDS, mark) | {"rows": 4, "columns": 4, "format": "PNG", "warnings": [mark]}
    for number, name in enumerate(["", *WORDS]):
        facts = forged if not name else {"rows": 4, "columns": 4, "format": "PNG", name: mark, "warnings": [mark]}
        (tmp_path / "in").mkdir(exist_ok=True)
        picture = encode_png(np.full((4, 4), number, np.uint8), {"medkit": json.dumps(facts)})
        (tmp_path / "in" / f"{number}.png").write_bytes(picture)
    run(tmp_path / "in", tmp_path / "out")
    assert len(rows(tmp_path / "out")) == len(WORDS) + 1
    assert survivors(tmp_path / "out", {"mark": mark, "part": "DOE"}) == []


def test_every_fact_of_an_ingested_image_is_restored(dicom, write, tmp_path):
    tags = {"PatientAge": "047Y", "PatientSex": "F", "ImageLaterality": "L", "PatientOrientation": ["L", "F"],
            "WindowCenter": 40, "WindowWidth": 400, "PixelSpacing": [0.2, 0.3], "BodyPartExamined": "CHEST",
            "ViewPosition": "PA", "BurnedInAnnotation": "NO"}  # fmt: skip
    path = Path(write(dicom(RAMP, BitsStored=12, **tags), "in.dcm"))
    run(path, tmp_path / "out")
    expected = shareable(read_picture(path).source)
    found = read_picture(tmp_path / "out" / rows(tmp_path / "out")[0]["output"]).source
    assert found == expected
    assert (found.age_band, found.view_position, found.window) == ("40-49", "PA", "window 40/400 LINEAR")


def test_what_was_set_aside_stays_aside_when_it_is_ingested_as_a_bitmap(dicom, write, tmp_path):
    run(Path(write(dicom(RAMP, Modality="US"), "us.dcm")), tmp_path / "out")
    (row,) = rows(tmp_path / "out")
    (tmp_path / "copy.png").write_bytes((tmp_path / "out" / row["output"]).read_bytes())
    run(tmp_path / "copy.png", tmp_path / "again")
    (row,) = rows(tmp_path / "again")
    assert (row["burned_in_risk"], row["output"].split("/")[0]) == ("set aside before", "quarantine")


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
    path.chmod(0o644)
    with pytest.raises(ConfigError, match=r"can be read by others: chmod 600"):
        read_secret(path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(ConfigError, match=r"has 5 bytes, expected 16"):
        read_secret(path)


@pytest.mark.parametrize("place", ["in/1.dcm", "notes.csv", "in/keys.csv", "out/keys.csv", "folder"])
def test_a_key_file_replaces_nothing_else_and_stays_private(dicom, write, tmp_path, place):
    (tmp_path / "in").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.csv").write_text("name,phone\nA,1\n")
    write(dicom(RAMP), "in/1.dcm")
    before = {path: (path.read_bytes(), path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match=r"lies in (SOURCE|OUTPUT)|is no key file|is a folder"):
        run(tmp_path / "in", tmp_path / "out", key_file=tmp_path / place)
    assert all((path.read_bytes(), path.stat().st_mode) == held for path, held in before.items())


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
    assert (kept.body_part, kept.view_position, kept.modality) == ("CHEST", "OTHER", "OTHER")
    assert (kept.laterality, kept.orientation, kept.patient_age_years, kept.age_band) == ("", "", None, "40-49")
