"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_networks():
    return [
        Component(
            "vgg_like",
            "medkit_vgg_like.vgg_like:VGGLike",
            "VGG11 at half its width, batch norm, fully connected layers of 2048, Xavier init; trained from scratch",
            "Simonyan, Zisserman 2015, arXiv:1409.1556",
        ),
        Component(
            "simple_cnn",
            "medkit_vgg_like.simple_cnn:SimpleCNN",
            "two 5×5 convolutions with pooling and one linear layer: the network that any other has to beat",
        ),
    ]
