"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_commands():
    return [
        Component(
            "export",
            "medkit_export.command:export",
            "writes a bundle's trained network as ONNX, torch.export or TorchScript and compares it with the original",
        )
    ]
