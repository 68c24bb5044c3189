"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_samplers():
    return [
        Component(
            "seed_proportional",
            "medkit_epoch_sampling.seed_proportional:SeedProportionalSampler",
            "a fixed number of images an epoch in chosen class proportions, none twice",
            "Matching with exact counts: Hall 1935, doi:10.1112/jlms/s1-10.37.26",
        ),
        Component(
            "oversample",
            "medkit_epoch_sampling.oversample:OversamplingSampler",
            "every image at least once, images of rare classes again until their class is frequent enough",
            "Buda, Maki, Mazurowski 2018, doi:10.1016/j.neunet.2018.07.011",
        ),
    ]
