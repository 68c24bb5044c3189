"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_commands():
    return [
        Component(
            "publish",
            "medkit_publish.command:publish",
            "packs a bundle with a finished run's model into one zip file that MONAI downloads and loads",
        )
    ]
