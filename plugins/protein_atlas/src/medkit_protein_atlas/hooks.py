"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_datasets():
    return [
        Component(
            "protein_atlas",
            "medkit_protein_atlas.dataset:protein_atlas",
            "Human Protein Atlas in Kaggle's layout: one file a colour, 28 classes, every class in every section",
            "Ouyang, Winsnes, Hjelmare et al. 2019, Nature Methods 16:1254, doi:10.1038/s41592-019-0658-6",
        ),
        Component(
            "protein_atlas_folder",
            "medkit_protein_atlas.folder:protein_atlas_folder",
            "new images of one file a colour below a folder, without labels; the files of an image count as one",
        ),
    ]


@hookimpl
def medkit_transforms():
    return [
        Component(
            "load_channels",
            "medkit_protein_atlas.load:LoadChannelsd",
            "reads one file a colour, side by side, into (4,H,W) float32 in 0…1, or RGB with half of yellow added",
        )
    ]
