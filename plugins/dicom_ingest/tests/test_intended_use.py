import pytest
import torch
from monai.data import MetaTensor

import medkit
from medkit.errors import ConfigError, NotAssessed

CHEST = {"modality": "DX", "body_part": "CHEST", "view_position": "PA", "patient_age_years": 40.0, "frames": 1}


def sample(**facts):
    return {"image": MetaTensor(torch.zeros(1, 3, 4), meta={"source": {**CHEST, **facts}})}


ADMITTED = [
    {},
    {"modality": "", "body_part": "", "view_position": "", "patient_age_years": None},
    {"modality": "CR"},
    *({"body_part": part} for part in ("chest", "PORT CHEST", "THORAX", "CHEST PA", "CHEST_2V", "UNKNOWN")),
    *(
        {"view_position": view}
        for view in ("AP", "pa", "AP SUPINE", "PA_ERECT", "FRONTAL", "UNKNOWN", "L DECUBITUS AP")
    ),
    {"patient_age_years": 18.0},
]
SET_ASIDE = [
    ({"modality": "US"}, "modality US, this model reads CR, DX"),
    ({"modality": "MG"}, "modality MG, this model reads CR, DX"),
    ({"body_part": "HAND"}, "not a chest by BodyPartExamined: HAND"),
    ({"body_part": "CHEST_TO_ABDOMEN"}, "not a chest by BodyPartExamined: CHEST_TO_ABDOMEN"),
    ({"body_part": "TSPINE"}, "not a chest by BodyPartExamined: TSPINE"),
    *(
        ({"view_position": v}, f"lateral view (ViewPosition {v})")
        for v in ("LL", "RL", "LATERAL", "LAT", "LLAT", "L LAT")
    ),
    ({"view_position": "LATERAL", "view_source": "PatientOrientation"}, "lateral view (PatientOrientation LATERAL)"),
    *(({"view_position": v}, f"oblique view (ViewPosition {v})") for v in ("LLO", "RAO", "LPO", "OBLIQUE")),
    ({"view_position": "LORDOTIC"}, "view LORDOTIC (ViewPosition), this model reads PA, AP, FRONTAL"),
    ({"patient_age_years": 7.0}, "child: 7 years, this model is for 18 and older"),
    ({"patient_age_years": 0.19}, "child: 0.19 years, this model is for 18 and older"),
    ({"colour": True}, "colour photograph"),
    ({"frames": 30}, "30 frames, this model reads single images"),
    ({"for_processing": True}, "detector data that was not made for viewing (FOR PROCESSING)"),
]


@pytest.mark.parametrize("facts", ADMITTED, ids=str)
def test_images_that_the_model_is_for_pass_unchanged(facts):
    given = sample(**facts)
    assert medkit.transform("intended_use")(given)["image"] is given["image"]


@pytest.mark.parametrize(("facts", "reason"), SET_ASIDE, ids=lambda value: str(value))
def test_images_that_the_model_is_not_for_are_set_aside_with_the_reason(facts, reason):
    with pytest.raises(NotAssessed) as caught:
        medkit.transform("intended_use")(sample(**facts))
    assert str(caught.value) == reason


def test_options_admit_what_is_set_aside_by_default():
    check = medkit.transform(
        "intended_use", modalities=["US"], body_parts=["breast"], views=["LL"], min_age_years=0, allow_colour=True,
        allow_multiframe=True, allow_for_processing=True,
    )  # fmt: skip
    facts = {"modality": "US", "body_part": "BREAST", "view_position": "LL", "patient_age_years": 1.0}
    check(sample(**facts, colour=True, frames=9, for_processing=True))


def test_an_image_without_facts_passes():
    medkit.transform("intended_use")({"image": torch.zeros(1, 2, 2)})


def test_a_misspelt_option_names_the_right_one():
    with pytest.raises(ConfigError, match='Did you mean "modalities"'):
        medkit.transform("intended_use", modalites=["CR"])
