"""What this plugin offers."""

from medkit import Component, hookimpl

PAPER = "multi-task learning, Caruana 1997, doi:10.1023/A:1007379606734; network: Isensee et al. 2021, arXiv:1809.10486"


@hookimpl
def medkit_networks():
    return [
        Component(
            "mask_guided",
            "medkit_mask_guided.network:MaskGuided",
            "class logits from what lies inside the lesion mask that it draws itself; learns from masks and labels",
            PAPER,
        )
    ]


@hookimpl
def medkit_losses():
    return [
        Component(
            "guided_cross_entropy",
            "medkit_mask_guided.loss:GuidedCrossEntropy",
            "cross entropy of the class plus Dice and cross entropy of the mask; skips what is unknown",
            PAPER,
        )
    ]
