"""What this plugin offers."""

from medkit import Component, hookimpl

PAPER = "Simonyan, Zisserman 2015, arXiv:1409.1556"


@hookimpl
def medkit_networks():
    return [
        Component(
            "vgg16",
            "medkit_vgg.network:VGG16",
            "13 convolution layers and a head by name; loads torchvision's weights; the convolution part may be frozen",
            PAPER,
        ),
        Component("vgg19", "medkit_vgg.network:VGG19", "the same with 16 convolution layers", PAPER),
    ]


@hookimpl
def medkit_handlers():
    return [
        Component(
            "fold_batch_norm",
            "medkit_vgg.folding:FoldBatchNorm",
            "when training completes, write the weights of the VGG without batch norm that computes the same",
            "Ioffe, Szegedy 2015, arXiv:1502.03167",
        ),
    ]
