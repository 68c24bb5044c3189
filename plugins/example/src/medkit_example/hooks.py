"""What this plugin offers."""

from medkit import Component, hookimpl


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
