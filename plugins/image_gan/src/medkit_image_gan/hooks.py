"""What this plugin offers."""

from medkit import Component, hookimpl

GAN = "Goodfellow et al. 2014, arXiv:1406.2661"
DCGAN = "Radford, Metz, Chintala 2016, arXiv:1511.06434"


@hookimpl
def medkit_networks():
    return [
        Component(
            "gan_generator",
            "medkit_image_gan.networks:GanGenerator",
            "images from latent codes",
            DCGAN,
            departs="it takes latent codes (B,Z) and gives images (B,C,H,W) in 0…1",
        ),
        Component(
            "gan_discriminator", "medkit_image_gan.networks:GanDiscriminator", "a logit, real against generated", DCGAN
        ),
    ]


@hookimpl
def medkit_losses():
    return [
        Component(
            "gan_loss",
            "medkit_image_gan.loss:GanLoss",
            "both losses of MONAI's GanTrainer, against a discriminator",
            GAN,
            departs="it takes images of a generator, and real ones, for MONAI's GanTrainer",
        )
    ]


@hookimpl
def medkit_transforms():
    return [
        Component("gan_batch", "medkit_image_gan.batch:GanBatch", "d_prepare_batch of GanTrainer: the readable images"),
        Component(
            "only_finding", "medkit_image_gan.findings:only_finding", "those samples of a list that show one finding"
        ),
    ]


@hookimpl
def medkit_handlers():
    return [
        Component(
            "gan_checkpoints", "medkit_image_gan.checkpoints:GanCheckpoints", "saves and resumes both networks of a GAN"
        ),
        Component(
            "generated_images",
            "medkit_image_gan.writer:GeneratedImages",
            "writes images of a generator with a SYNTHETIC mark and a label table, without copies of training images",
        ),
    ]


@hookimpl
def medkit_datasets():
    return [
        Component("generated", "medkit_image_gan.dataset:generated", "the images that generated_images wrote"),
    ]
