"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_transforms():
    return [
        Component(
            "fact_channels",
            "medkit_clinical_facts.channels:FactChannels",
            "what is known of the patient as constant channels behind the image's: age, sex, view, or any column",
        )
    ]


@hookimpl
def medkit_networks():
    return [
        Component(
            "with_facts",
            "medkit_clinical_facts.network:WithFacts",
            "another classifier to whose logits the patient's facts, given as constant channels, add theirs",
        )
    ]
