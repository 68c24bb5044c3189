"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_transforms():
    return [
        Component(
            "gate_values",
            "medkit_classifier_gate.values:GateValues",
            "each image's probability that there is anything to segment, from a classifier's predictions.csv",
        ),
        Component(
            "gated_inferer",
            "medkit_classifier_gate.inferer:GatedInferer",
            "a MONAI Inferer that empties the masks of images whose gate is closed; they add no gradient",
        ),
    ]


@hookimpl
def medkit_postprocessors():
    return [
        Component(
            "classifier_gate",
            "medkit_classifier_gate.postprocessor:ClassifierGate",
            "logits to masks on the original pixels, before and after the gate; fits the gate's threshold",
        )
    ]
