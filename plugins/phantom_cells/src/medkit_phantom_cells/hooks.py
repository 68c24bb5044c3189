"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_datasets():
    return [
        Component(
            "phantom_cells",
            "medkit_phantom_cells.dataset:phantom_cells",
            "synthetic fluorescence microscopy of cells, 28 protein patterns, in the Protein Atlas's Kaggle layout",
            "patterns and labels: Ouyang et al. 2019, Nat Methods 16:1254-1261, doi:10.1038/s41592-019-0658-6",
        )
    ]
