"""`medkit tune`: arguments in, text out."""

from __future__ import annotations

from pathlib import Path

import click

SAMPLERS = ("tpe", "random", "cmaes", "nsga2")
PRUNERS = ("median", "none")
_PATH = click.Path(path_type=Path)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("bundle", type=_PATH)
@click.option("--trials", type=click.IntRange(min=1), default=20, show_default=True, help="In all, earlier ones too.")
@click.option("--study", "study_file", type=_PATH, help="SQLite file, may be shared.  [default: study.db in DIR]")
@click.option("--sampler", type=click.Choice(SAMPLERS), default="tpe", show_default=True, help="nsga2: evolutionary.")
@click.option("--pruner", type=click.Choice(PRUNERS), default="median", show_default=True, help="Stops bad trials.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the search.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Trials that run at once.")
@click.option("-o", "--output_dir", "--output-dir", type=_PATH, metavar="DIR", help="[default: runs/BUNDLE_tune]")
@click.option("--quiet", is_flag=True, help="Show no trials and no progress bar, only the result.")
@click.option("--trust", is_flag=True, help="Run a bundle that would execute undeclared code.")
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED)
def tune(
    bundle: Path,
    trials: int,
    study_file: Path | None,
    sampler: str,
    pruner: str,
    seed: int,
    jobs: int,
    output_dir: Path | None,
    quiet: bool,
    trust: bool,
    overrides: tuple[str, ...],
) -> None:
    """Search for the values of a bundle's configs/tune.yaml that make its objective best.

    The first trial has the bundle's own values. Run again, the same command goes on; several at once share the work.
    Whatever else is written --key value, or stands behind --, overrides the configuration of every trial:
    -- --max_epochs 3 --dataset_dir FOLDER.
    """
    from medkit_tuning.plan import Plan  # these import torch and Optuna: not for --help
    from medkit_tuning.results import write_results
    from medkit_tuning.search import search
    from medkit_tuning.shared_study import SharedStudy

    folder = (output_dir or Path("runs") / f"{bundle.resolve().name}_tune").resolve()
    file = (study_file or folder / "study.db").resolve()
    plan = Plan.make(bundle, overrides, file.parent / "data", trust)
    with SharedStudy(file, plan, folder / "trials", sampler, pruner, seed) as shared:
        plan.make_data(quiet)
        search(shared, trials, jobs, lambda line: None if quiet else click.secho(line, bold=True, err=True))
        for line in write_results(shared, bundle, folder):
            click.echo(line)
