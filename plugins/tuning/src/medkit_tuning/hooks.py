"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_commands():
    return [
        Component(
            "tune",
            "medkit_tuning.command:tune",
            "searches a bundle's learning rate, weight decay and the like; stops bad trials early, can be continued",
            "Akiba 2019, doi:10.1145/3292500.3330701",
        )
    ]
