"""The command line: arguments in, text and exit codes out.

Exit codes: 0 done; 1 a bug (with a traceback); 2 something the user can mend (one line); 130 interrupted.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from medkit.errors import ConfigError, MedkitError, PluginError, did_you_mean, root_cause, shown
from medkit.hookspecs import HOOKS


class Commands(click.Group):
    """medkit's own commands, and those that plugins offer.

    Plugins are not even looked for to print the help: it takes no longer with fifty of them.
    """

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return ours, or import a plugin's.

        Raises:
            PluginError: nobody offers it.
        """
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        from medkit.registry import registry

        offered = [o.component.name for o in registry().of_kind("command")]
        if cmd_name not in offered:
            known = [*self.list_commands(ctx), *offered]
            raise PluginError(f'no command "{cmd_name}".{did_you_mean(cmd_name, known)} Commands: {", ".join(known)}.')
        command: Any = registry().find("command", cmd_name).component.load()
        return command


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Plugins add commands of their own: medkit plugins --kind command lists them.",
)
@click.version_option(package_name="medkit")
def cli() -> None:
    """Medical-imaging techniques as interchangeable parts on MONAI.

    --debug, anywhere on the line, shows the traceback of every error.
    """
    import importlib.metadata

    try:
        importlib.metadata.distribution("medkit-lib")
    except importlib.metadata.PackageNotFoundError:
        return
    raise ConfigError(
        'the distribution "medkit-lib" is installed and brings another import package of the name "medkit": '
        "run `pip uninstall medkit-lib` and install medkit again"
    )


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--input", "input_dir", type=click.Path(path_type=Path), help="Read these files with a trained model.")
@click.option("--stage", "stages", multiple=True, help="Run this stage alone (all its repetitions); may be repeated.")
@click.option("--from", "from_stage", help="Run this stage and those behind it.")
@click.option("--force", is_flag=True, help="Run stages again that are done.")
@click.option(
    "--runs-dir", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where runs are kept."
)
@click.option("-o", "--output_dir", "--output-dir", type=click.Path(path_type=Path), help="Write exactly here.")
@click.option("--model_dir", "--model-dir", type=click.Path(path_type=Path), help="Take the trained model from here.")
@click.option(
    "--nproc", type=click.IntRange(min=1), default=1, show_default=True, help="Processes for training (torchrun)."
)
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Stages that run at once, where they can."
)
@click.option("--strict", is_flag=True, help="Make an unreadable file an error.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
@click.option("--allow-synthetic-model", is_flag=True, help="Let a model trained on phantoms see real images.")
@click.option("--trust", is_flag=True, help="Run a bundle that would execute undeclared code.")
@click.option("--pin", help="Run the bundle only as it was locked: the digest that medkit lock printed.")
@click.option("--dry-run", is_flag=True, help="Print the equivalent MONAI commands and stop.")
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED)
def run(bundle: Path, overrides: tuple[str, ...], **options: Any) -> None:
    """Run a bundle: train, fit, evaluate, infer, report; or with --input only what new files need.

    Whatever else is written --key value overrides the bundle's configuration, as in MONAI:
    --dataset_dir FOLDER, --device cpu, --train#trainer#max_epochs 3.
    """
    from medkit.bundle import Bundle
    from medkit.overrides import parse
    from medkit.request import Request
    from medkit.runs import Run
    from medkit.summary import closing_lines

    flags = {key: True for key in ("strict", "quiet", "allow_synthetic_model") if options[key]}
    if options["input_dir"] is not None and not options["input_dir"].is_dir():
        raise ConfigError(f"--input {options['input_dir']} is not a folder: give a folder of DICOM or image files")
    request = Request(
        Bundle.read(bundle),
        overrides=parse(overrides),
        flags=flags,
        input_dir=options["input_dir"],
        runs_dir=options["runs_dir"],
        output_dir=options["output_dir"],
        model_dir=options["model_dir"],
        stages=options["stages"],
        from_stage=options["from_stage"],
        force=options["force"],
        trusted=options["trust"],
        pin=options["pin"],
        processes=options["nproc"],
        jobs=options["jobs"],
    )
    planned = Run.plan(request)
    if options["dry_run"]:
        for line in planned.dry_run():
            click.echo(line)
        return
    planned.execute(lambda line: click.secho(line, bold=True, err=True))
    for line in closing_lines(planned.output_dir):
        click.echo(line)


@cli.command()
@click.option("--kind", help="Only parts of this kind.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def plugins(kind: str | None, as_json: bool) -> None:
    """List what the installed plugins offer, and which of them failed to load."""
    import json

    from medkit.hookspecs import HOOKS
    from medkit.registry import registry

    found = registry()
    if kind is not None and kind not in HOOKS:
        raise ConfigError(f'kind "{kind}" is unknown.{did_you_mean(kind, HOOKS)} Kinds: {", ".join(HOOKS)}.')
    offers = [o for o in sorted(found.offers, key=lambda o: (o.kind, o.component.name)) if kind in (None, o.kind)]
    if as_json:
        facts = {"parts": [_row(o) for o in offers], "failures": [_failure(f) for f in found.failures]}
        click.echo(json.dumps(facts | {"notices": [_notice(n) for n in found.notices]}))
        return
    for offer in offers:
        part = offer.component
        click.echo(f"{offer.kind:<14} {part.name:<24} {part.summary}  [{offer.distribution} {offer.version}]")
    for name in found.disabled:
        click.echo(f"switched off   {name}")
    for failure in found.failures:
        click.echo(f"FAILED         {failure.plugin} {failure.version}: {failure.error}")
    for notice in found.notices:
        click.echo(f"NOTICE         {notice.plugin} {notice.version}: {notice.text}")
    if not offers and not found.failures:
        click.echo("no plugins are installed: pip install -r plugins/requirements.txt")


def _row(offer: Any) -> dict[str, str]:
    part = offer.component
    facts = {"kind": offer.kind, "name": part.name, "summary": part.summary, "reference": part.reference}
    return facts | {"target": part.target, "distribution": offer.distribution, "version": offer.version}


def _failure(failure: Any) -> dict[str, str]:
    return {"plugin": failure.plugin, "version": failure.version, "error": failure.error}


def _notice(notice: Any) -> dict[str, str]:
    return {"plugin": notice.plugin, "version": notice.version, "text": notice.text}


@cli.command()
@click.argument("bundle", type=click.Path(path_type=Path), required=False)
@click.option("--plugin", help="Check what this plugin's parts do: a distribution, an entry point, or one part.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def check(bundle: Path | None, plugin: str | None, as_json: bool) -> None:
    """Check the installed plugins, and a bundle without executing any of it; with --plugin, run its parts."""
    import json

    from medkit.check import check_bundle, check_plugins
    from medkit.registry import registry

    if plugin is not None and bundle is not None:
        raise ConfigError("medkit check was given a bundle and --plugin: check one after the other")
    if plugin is not None:
        _check_parts(plugin, as_json)
        return
    reports = [check_plugins(registry())] + ([check_bundle(bundle)] if bundle else [])
    if as_json:
        click.echo(json.dumps({r.subject: r.to_json() for r in reports}, indent=2))
    else:
        for report in reports:
            click.echo(report.to_text())
    if any(r.errors for r in reports):
        raise SystemExit(2)


def _check_parts(plugin: str, as_json: bool) -> None:
    """Run the conformance kit on a plugin's parts, each check a line as it ends."""
    import json
    from dataclasses import asdict

    from medkit.registry import registry
    from medkit.testing.runner import offers_of, outcomes

    found = []
    for outcome in outcomes(offers_of(registry(), plugin)):
        found.append(outcome)
        if not as_json:
            click.echo(outcome.to_text())
    if as_json:
        click.echo(json.dumps([asdict(outcome) for outcome in found], indent=2))
    if any(outcome.status == "FAILED" for outcome in found):
        raise SystemExit(2)


@cli.command()
@click.argument("bundle", type=click.Path(exists=True, file_okay=False, path_type=Path))
def lock(bundle: Path) -> None:
    """Write the hash of every file of a bundle into its configs/medkit.lock.

    From then on medkit run refuses the bundle when a file is changed, missing or added, and medkit check names it.
    """
    from medkit.lock import write

    count, pin = write(bundle)
    click.echo(f"locked {count} files in {bundle / 'configs' / 'medkit.lock'}")
    click.echo(f"medkit run {bundle} --pin {pin} runs these files and no others")


@cli.command()
@click.argument("name")
def info(name: str) -> None:
    """Describe a bundle (by folder) or a part (by name)."""
    from medkit.describe import describe_bundle, describe_part

    is_bundle = (Path(name) / "configs").is_dir()
    click.echo(describe_bundle(Path(name)) if is_bundle else describe_part(_find_any(name)))


def _find_any(name: str) -> Any:
    """Return the part of that name, of whatever kind."""
    from medkit.registry import registry

    found = registry()
    for kind in HOOKS:
        if any(name in (o.component.name, o.qualified_name) for o in found.of_kind(kind)):
            return found.find(kind, name)
    offered = [o.component.name for o in found.offers if o.distribution == f"medkit-{name.replace('_', '-')}"]
    if offered:
        raise PluginError(f'"{name}" is a plugin: ask for one of its parts: {", ".join(offered)}')
    names = sorted({o.component.name for o in found.offers})
    raise PluginError(f'no part and no bundle folder "{name}".{did_you_mean(name, names)} Parts: {", ".join(names)}.')


@cli.group()
def new() -> None:
    """Start a plugin or a bundle of your own, as a copy that already works."""


_into = click.option("--into", type=click.Path(path_type=Path), default=Path(), help="The folder to make it in.")


@new.command("plugin")
@click.argument("name")
@click.option("--kind", default="localizer", show_default=True, help=f"Of the part: {', '.join(HOOKS)}.")
@_into
def start_plugin(name: str, kind: str, into: Path) -> None:
    """Start a plugin that offers one part, called NAME, in a folder of that name."""
    from medkit.new_plugin import new_plugin

    folder = new_plugin(name, into, kind, commands=cli.commands)
    click.echo(f"made {folder}; next: pip install -e {folder}, python -m pytest {folder}")


@new.command("bundle")
@click.argument("name")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    default=Path("bundles/chest_gradcam"),
    show_default=True,
    help="The folder of the bundle to copy.",
)
@_into
def start_bundle(name: str, source: Path, into: Path) -> None:
    """Start a bundle, called NAME, in a folder of that name."""
    from medkit.new_bundle import new_bundle

    folder = new_bundle(name, into, source)
    click.echo(f"made {folder}; next: medkit check {folder}, medkit run {folder}")


def main() -> None:
    """Run the command line; the console script ``medkit``."""
    words = sys.argv[1:]
    with one_line_errors(debug="--debug" in words):
        for option, value in itertools.pairwise(words):
            if option.startswith("--") and not value:
                raise ConfigError(f"{option} was given an empty value: is a shell variable unset?")
        cli.main(args=[word for word in words if word != "--debug"], prog_name="medkit", standalone_mode=False)


@contextmanager
def one_line_errors(debug: bool = False) -> Iterator[None]:
    """End the program with the exit code that its error stands for, and with one line where the user can mend it."""
    try:
        yield
    except click.exceptions.Abort:
        _interrupted()
    except KeyboardInterrupt:
        _interrupted()
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except Exception as error:
        cause = root_cause(error)
        if debug or not isinstance(cause, MedkitError | OSError):
            raise
        click.echo(f"medkit: {_one_line(cause)}", err=True)
        sys.exit(2)


def _one_line(error: BaseException) -> str:
    """Return an error as one line; what the system refused names the file and what to do."""
    if isinstance(error, OSError) and not isinstance(error, MedkitError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        if isinstance(error, FileExistsError | NotADirectoryError):
            return f"{error.strerror}{where}: a folder is needed there: move the file, or choose another folder"
        return f"{error.strerror}{where}: make room or choose another folder; the same command continues"
    return shown(" ".join(str(error).split()), 2000)


def _interrupted() -> None:
    click.echo("medkit: interrupted; the same command continues where it stopped", err=True)
    sys.exit(130)


if __name__ == "__main__":
    main()
