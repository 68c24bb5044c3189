"""What this plugin offers."""

from medkit import Component, hookimpl

PAPER = "Masci, Meier, Ciresan, Schmidhuber 2011, doi:10.1007/978-3-642-21735-7_7"


@hookimpl
def medkit_networks():
    return [
        Component(
            "autoencoder",
            "medkit_autoencoder.network:AutoEncoder",
            "a classifier's convolutions as encoder, up-sampling and convolutions as decoder: images from images",
            PAPER,
        )
    ]


@hookimpl
def medkit_transforms():
    return [
        Component(
            "reconstruction_batch",
            "medkit_autoencoder.batch:ReconstructionBatch",
            "prepare_batch for autoencoder: the image is its own target, files that could not be read teach nothing",
        )
    ]


@hookimpl
def medkit_handlers():
    return [
        Component(
            "encoder_file",
            "medkit_autoencoder.encoder_file:EncoderFile",
            "when training completes, writes the encoder as a weights file that the classifier takes",
        ),
        Component(
            "reconstruction_error",
            "medkit_autoencoder.error:ReconstructionError",
            "measures reconstructions against the training set's mean image, with intervals",
        ),
    ]
