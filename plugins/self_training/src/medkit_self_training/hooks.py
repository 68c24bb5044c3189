"""What this plugin offers."""

from medkit import Component, hookimpl

PAPER = "Lee 2013, Pseudo-Label, ICML workshop on challenges in representation learning"


@hookimpl
def medkit_datasets():
    return [
        Component(
            "labelled_part",
            "medkit_self_training.part:labelled_part",
            "samples divided by patient into a labelled part and one whose labels are taken away",
        ),
        Component(
            "pseudo_labelled",
            "medkit_self_training.dataset:pseudo_labelled",
            "labelled samples and unlabelled ones with a teacher's pseudo-labels",
            PAPER,
        ),
    ]


@hookimpl
def medkit_handlers():
    return [
        Component(
            "pseudo_labels",
            "medkit_self_training.pseudo_labels:PseudoLabels",
            "the most confident predictions of a teacher as labels, measured on held-out labelled images",
            PAPER,
        )
    ]
