"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_datasets():
    return [
        Component(
            "class_folders",
            "medkit_example.dataset:class_folders",
            "images sorted into one folder a class, below training, validation and test",
        )
    ]


@hookimpl
def medkit_networks():
    return [
        Component(
            "conv_mixer",
            "medkit_example.network:ConvMixer",
            "patches, then depthwise and 1×1 convolutions in turn; small, trained from scratch",
            "Trockman, Kolter 2022, arXiv:2201.09792",
        )
    ]


@hookimpl
def medkit_losses():
    return [
        Component(
            "asymmetric_loss",
            "medkit_example.loss:AsymmetricLoss",
            "multi-label focal loss that takes absences easier than presences, and very easy ones not at all",
            "Ridnik et al. 2021, ICCV, arXiv:2009.14119",
        )
    ]


@hookimpl
def medkit_samplers():
    return [
        Component(
            "square_root",
            "medkit_example.sampler:SquareRoot",
            "images drawn by one over the square root of their rarest class's frequency",
            "Mahajan et al. 2018, ECCV, arXiv:1805.00932",
        )
    ]


@hookimpl
def medkit_localizers():
    return [
        Component(
            "saliency",
            "medkit_example.localizer:Saliency",
            "evidence as the gradient of a finding's logit at each input pixel",
            "Simonyan, Vedaldi, Zisserman 2013, arXiv:1312.6034",
        )
    ]


@hookimpl
def medkit_postprocessors():
    return [
        Component(
            "prior_shift",
            "medkit_example.postprocessor:PriorShift",
            "logits to probabilities for a place where findings are rarer or more frequent than in validation",
            "Elkan 2001, IJCAI, The foundations of cost-sensitive learning, theorem 2",
        )
    ]


@hookimpl
def medkit_transforms():
    return [
        Component(
            "rand_speckle",
            "medkit_example.transform:RandSpeckled",
            "random speckle, as in ultrasound: each pixel times a number near 1",
            "Goodman 1976, doi:10.1364/JOSA.66.001145",
        )
    ]


@hookimpl
def medkit_handlers():
    return [
        Component(
            "gradient_clipping",
            "medkit_example.handler:GradientClipping",
            "before every optimizer step, scale the gradient down to a norm",
            "Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063",
        )
    ]


@hookimpl
def medkit_commands():
    return [
        Component(
            "scores",
            "medkit_example.command:scores",
            "every score of a finished run with its interval and count, a line each",
        )
    ]
