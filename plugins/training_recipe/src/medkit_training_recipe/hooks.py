"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_handlers():
    return [
        Component(
            "weight_clipping",
            "medkit_training_recipe.clipping:WeightClipping",
            "after every optimizer step, put each weight back into ±limit",
            "Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875",
        ),
        Component(
            "cpu_budget",
            "medkit_training_recipe.budget:CpuBudget",
            "end training when its CPU time is spent, the learning rate falling with what is left",
            "Loshchilov, Hutter 2017, arXiv:1608.03983",
        ),
        Component(
            "ema",
            "medkit_training_recipe.ema:ExponentialMovingAverage",
            "evaluate and save the exponential moving average of the weights; survives a resume",
            "Polyak, Juditsky 1992, doi:10.1137/0330046",
        ),
    ]


@hookimpl
def medkit_transforms():
    return [
        Component(
            "test_time_augmentation",
            "medkit_training_recipe.augmented:FlipAverage",
            "a MONAI Inferer that averages the probabilities of an image, its mirror images and quarter turns",
            "Moshkov et al. 2020, doi:10.1038/s41598-020-61808-3",
        ),
        Component(
            "bfloat16",
            "medkit_training_recipe.bfloat16:BFloat16",
            "a MONAI Inferer that computes in bfloat16 on processors that can, about twice as fast",
            "Kalamkar et al. 2019, arXiv:1905.12322",
        ),
    ]
