"""`p5 data describe`, `p5 data prepare` and `p5 init`."""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from p5core.data.dataset import Dataset
    from p5core.data.profile.report import PrepareReport
    from p5core.plugins.registry import Registry

__all__ = ["data", "init"]

SETTING = "Option of the loader, such as items=movies.csv; name=… chooses the loader."


@click.group()
def data() -> None:
    """Inspect data before training."""


@data.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help=SETTING)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: figures, notes, guessed columns and layout.")
@click.pass_obj
def describe(registry: Registry, file: Path, settings: tuple[str, ...], as_json: bool) -> None:
    """Describe the data of FILE: a data file or an experiment."""
    from rich.console import Console

    from p5core.data.profile.report_text import report_text

    _, report, section = _look_at(registry, file, settings)
    if as_json:
        guessed = _guessed(registry, section) if section else {}
        click.echo(json.dumps({**report.to_dict(), "data": {**section}, **guessed}, indent=1, ensure_ascii=False))
    else:
        Console().print(report_text(report), markup=False, highlight=False)


@data.command("prepare")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, help="File to write: .parquet, .csv or .jsonl."
)
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help=SETTING)
@click.option("--field", "fields", metavar="COLUMN", multiple=True, help="Further column of the log to keep.")
@click.pass_obj
def prepare_command(
    registry: Registry, file: Path, output: Path, settings: tuple[str, ...], fields: tuple[str, ...]
) -> None:
    """Write the events of FILE as they are read: raw ids, by user, oldest first."""
    from p5core.data.profile.clean_events import event_frame, rejected_frame, write_table
    from p5core.data.profile.report_text import report_text
    from p5core.errors import ConfigError

    if _reads(file, settings, output):
        raise ConfigError(f"{output} is read from, and would be lost. Choose another file with --output.")
    dataset, report, _ = _look_at(registry, file, settings, fields)
    write_table(event_frame(dataset), output)
    click.echo(report_text(report))
    click.echo(f"Wrote {output}: {report.n_events:,} events.")
    if report.rejected:
        dropped = output.with_suffix(".dropped.csv")
        write_table(rejected_frame(report.rejected), dropped)
        click.echo(f"Wrote {dropped}: the cells for which rows were dropped.")


@click.command()
@click.argument("file", metavar="DATA", type=click.Path(path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Output file; default: DATA.toml in this folder.")
@click.option("--preset", default="auto", show_default=True, help="Preset of the model; 'p5 presets' lists them.")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help=SETTING)
@click.pass_obj
def init(registry: Registry, file: Path, output: Path | None, preset: str, settings: tuple[str, ...]) -> None:
    """Write a commented experiment for the data file DATA."""
    import tomli_w

    from p5core.config.document import parse_experiment
    from p5core.config.tree import parse_toml
    from p5core.errors import ConfigError
    from p5core.system.files import write_text

    chosen = registry.choose("preset", preset).build()
    section = _section_with(registry, file, settings)
    section, comment = _with_condition(registry, section)
    dataset, report = _everything(registry, section, cold_items=True)
    target = output or Path(file.name.split(".")[0] + ".toml")
    if target.exists():
        raise ConfigError(f"{target} exists and is left alone. Choose another file with --output.")
    summary = f"{file}: {report.n_users:,} users, {report.n_items:,} items, {report.n_events:,} events"
    head = f"# {summary}\n# Run it with: p5 run THIS_FILE; 'p5 plugins list' shows all loaders\n\n{comment}"
    text = f"{head}{tomli_w.dumps({'data': section})}\n{chosen.sections(dataset)}"
    parse_experiment(parse_toml(text, f"preset {preset}"), f"preset {preset}")
    write_text(target, text)
    click.echo(f"Wrote {target}. Read it, change what you like, then: p5 run {target}")


def _reads(file: Path, settings: Sequence[str], output: Path) -> bool:
    """True if the output is a file that is read: a log, a file of a pattern or folder, or one that is named."""
    from p5core.config.document import load_experiment

    path = str(load_experiment(file).data.options.get("path", "")) if file.suffix == ".toml" else str(file)
    named = [path, *(value for _, _, value in (setting.partition("=") for setting in settings))]
    sources = [Path(source) for name in named for source in (name, *glob.glob(name, recursive=True)) if source]
    return output.is_file() and any(
        output.resolve() == source.resolve() or (source.is_dir() and source.resolve() in output.resolve().parents)
        for source in sources
    )


def _guessed(registry: Registry, section: Mapping[str, Any]) -> dict[str, Any]:
    """Columns and layout that the loader takes."""
    from p5core.config.base import PartSpec

    preview = registry.choose("loader", PartSpec.model_validate(section), "data").build().preview()
    return {"columns": dict(preview.columns), "layout": dict(preview.settings)}


def _look_at(
    registry: Registry, file: Path, settings: Sequence[str], fields: Sequence[str] = ()
) -> tuple[Dataset, PrepareReport, Mapping[str, Any]]:
    """Load and prepare a data file with nothing left out, or an experiment's data as the experiment says."""
    from p5core.config.document import load_experiment
    from p5core.fitting.experiment_data import load_data

    if file.suffix == ".toml":
        experiment = load_experiment(file, [f"data.{name}" for name in settings])
        cleaning = experiment.prepare.model_copy(update={"fields": [*experiment.prepare.fields, *fields]})
        return *load_data(registry, experiment.data, cleaning), {}
    section = _section_with(registry, file, settings)
    return *_everything(registry, section, fields), section


def _section_with(registry: Registry, file: Path, settings: Sequence[str]) -> dict[str, Any]:
    """The data section for a file with some options set."""
    from p5core.config.tree import override

    named = next((setting.partition("=")[2] for setting in settings if setting.startswith("name=")), None)
    section = _section(registry, file, named)
    for setting in settings:
        section = override(section, setting)
    return section


def _everything(
    registry: Registry, section: Mapping[str, Any], fields: Sequence[str] = (), cold_items: bool = False
) -> tuple[Dataset, PrepareReport]:
    """The data of a section with nothing left out."""
    from p5core.config.base import PartSpec
    from p5core.config.prepare import PrepareConfig
    from p5core.data.ingest.prepare import prepare_more

    keep_all = PrepareConfig(keep="all", min_user_events=1, fields=list(fields), cold_items=cold_items)
    return prepare_more(registry.choose("loader", PartSpec.model_validate(section), "data").build().load(), keep_all)


def _with_condition(registry: Registry, section: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The section with the condition that keeps wanted events, where one column says so, and a comment above it.

    Where there are several kinds of events, as in a funnel, the comment alone proposes a condition.
    """
    from p5core.config.base import PartSpec
    from p5core.data.profile.kinds import event_kinds

    loader = registry.choose("loader", PartSpec.model_validate(section), "data")
    kinds = event_kinds(loader.build().load()) if "where" in loader.part.Config.model_fields else None
    if kinds is None:
        return section, ""
    comment = f"# '{kinds.column}' has the kinds {kinds.sentence()}. "
    if kinds.wanted is not None:
        kept = "Only the wanted ones count; remove 'where' to count all."
        proposed, own = kinds.condition(kinds.wanted), section.get("where")
        return {**section, "where": f"({own}) and {proposed}" if own else proposed}, f"{comment}{kept}\n"
    condition = f"where = {json.dumps(kinds.condition(kinds.rarest), ensure_ascii=False)}"
    weights = ", ".join(f"{json.dumps(kind)} = 1" for kind in kinds.counts)
    return section, (
        f"{comment}All count alike. To keep one kind: {condition}\n"
        f"# To weigh them: event = {json.dumps(kinds.column)} and event_weights = {{ {weights} }}\n"
    )


def _section(registry: Registry, file: Path, named: str | None) -> dict[str, Any]:
    """The data section for a file: the loader that is named or recognises it best, and the file as its path."""
    from p5core.contracts.loader import Loader
    from p5core.errors import DataError

    if named is not None and (option := registry.get("loader", named).path_option):
        return {"name": named, option: str(file)}
    loaders = [(name, cast(type[Loader], info.part)) for name, info in registry.parts("loader").items()]
    readers = [(name, part) for name, part in loaders if part.path_option is not None]
    sureness, name, option = max((part.recognises(file), name, part.path_option) for name, part in readers)
    if sureness <= 0:
        raise DataError(f"No loader recognises {file}. Name one: --set name=…; 'p5 plugins list' shows them.")
    return {"name": name, str(option): str(file)}
