"""`medkit publish`: arguments in, text out."""

from __future__ import annotations

from pathlib import Path

import click

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("bundle", type=_PATH)
@click.option("--run", "--model_dir", "--model-dir", "run", type=_PATH, help="[default: the newest run with a model]")
@click.option("--runs-dir", type=_PATH, default=Path("runs"), show_default=True, help="Where runs are kept.")
@click.option("-o", "--output", type=_PATH, metavar="ZIP", help="[default: BUNDLE_vVERSION.zip, here]")
@click.option("--bundle", "into_bundle", is_flag=True, help="Copy the model into the bundle itself instead.")
def publish(bundle: Path, run: Path | None, runs_dir: Path, output: Path | None, into_bundle: bool) -> None:
    """Pack a bundle and the model of a finished run into one zip file that MONAI downloads and loads.

    The options that the model was trained with become the configuration's own. With --bundle there is no zip file: the
    model goes to the bundle's folder, where medkit run BUNDLE --input finds it.
    """
    from medkit.bundle import Bundle  # these import torch and MONAI: not for --help
    from medkit.check import check_bundle
    from medkit.errors import ConfigError
    from medkit.lock import LOCK
    from medkit.request import Request
    from medkit_publish.archive import write_zip
    from medkit_publish.finished import FinishedModel

    if into_bundle and output is not None:
        raise ConfigError("--bundle writes no zip file: leave -o out, or --bundle")
    model = FinishedModel.read(Request(Bundle.read(bundle), runs_dir=runs_dir, model_dir=run))
    if errors := check_bundle(bundle).errors:
        raise ConfigError(f"{bundle} is not in order: {errors[0]}. medkit check {bundle} lists all")
    if into_bundle:
        model.copy_into_bundle()
        again = f"; its lock knows none of them: run medkit lock {bundle}" if (bundle / LOCK).exists() else ""
        click.echo(f"{model.bundle.root}: {', '.join(model.files)} of {model.run}{again}")
    else:
        click.echo(str(write_zip(model, output)))
    if model.synthetic:
        click.echo("SYNTHETIC: trained on phantoms; what it says of real images means nothing")
