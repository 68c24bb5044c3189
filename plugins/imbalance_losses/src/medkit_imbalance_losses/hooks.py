"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_losses():
    return [
        Component(
            "focal",
            "medkit_imbalance_losses.focal:Focal",
            "multi-label focal loss: what the network is sure of, and right about, counts little",
            "Lin, Goyal, Girshick, He, Dollár 2017, ICCV, arXiv:1708.02002",
        ),
        Component(
            "soft_f1",
            "medkit_imbalance_losses.soft_f1:SoftF1",
            "one minus the macro F1 of a batch, with probabilities for counts; of presence, or of absence too",
        ),
    ]


@hookimpl
def medkit_handlers():
    return [
        Component(
            "class_weights",
            "medkit_imbalance_losses.class_weights:class_weights",
            "one weight a class from labels, by inverse frequency or effective number, for losses that take them",
            "Cui, Jia, Lin, Song, Belongie 2019, CVPR, arXiv:1901.05555",
        )
    ]
