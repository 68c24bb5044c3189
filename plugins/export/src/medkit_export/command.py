"""`medkit export`: arguments in, text out."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

_PATH = click.Path(path_type=Path)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("bundle", type=_PATH)
@click.option("--format", "name", type=click.Choice(["onnx", "pt2", "torchscript"]), required=True, help="Of the file.")
@click.option("-o", "--output", type=_PATH, metavar="FILE", help="[default: BUNDLE.onnx, .pt2 or .ts, here]")
@click.option("--config", default="inference.yaml", show_default=True, help="What runs on new images.")
@click.option("--model_dir", "--model-dir", "--run", "model_dir", type=_PATH, help="[default: the newest run's]")
@click.option("--input", "input_dir", type=_PATH, help="Compare on these files.  [default: the data of the run]")
@click.option("--runs-dir", type=_PATH, default=Path("runs"), show_default=True, help="Where runs are kept.")
@click.option("--trust", is_flag=True, help="Build the network of a bundle that would execute undeclared code.")
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED)
def export(
    bundle: Path,
    name: str,
    output: Path | None,
    config: str,
    model_dir: Path | None,
    input_dir: Path | None,
    runs_dir: Path,
    trust: bool,
    overrides: tuple[str, ...],
) -> None:
    """Write a bundle's trained network to one file that needs no medkit, and compare it with the original.

    The file gives logits, no probabilities. FILE.json beside it says what goes in, what comes out, and how far it is
    from the original on random and on real images; one that is too far is not written. Whatever else is written
    --key value overrides the bundle's configuration, --dataset_dir FOLDER for instance.
    """
    from medkit.bundle import Bundle  # these import torch and MONAI: not for --help
    from medkit.overrides import parse
    from medkit.request import Request
    from medkit_export.exported import write
    from medkit_export.formats import FORMATS
    from medkit_export.trained_network import TrainedNetwork

    FORMATS[name].require()
    with tempfile.TemporaryDirectory() as work:
        request = Request(
            Bundle.read(bundle),
            overrides=parse(overrides),
            input_dir=input_dir,
            runs_dir=runs_dir,
            output_dir=Path(work),
            model_dir=model_dir,
            trusted=trust,
        )
        for line in write(TrainedNetwork.read(request, config), name, output):
            click.echo(line)
