"""`p5 export` and `p5 verify`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from p5core.plugins.registry import Registry
    from p5export.export import Exported

__all__ = ["export", "verify"]


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Output folder; default: RUN/export.")
@click.option("--zip", "is_zipped", is_flag=True, help="Write FOLDER.zip as well.")
@click.option(
    "--keep-seen", is_flag=True, help="Recommend items of the history again, even if evaluation left them out."
)
@click.option(
    "--max-length", type=click.IntRange(min=1), help="Number of most recent history items to read; default: as trained."
)
@click.option("--no-popular", is_flag=True, help="Answer an empty history with nothing instead of popular items.")
@click.option(
    "--allow",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Text file with one item id per line; only these are recommended.",
)
@click.option(
    "--column", "columns", multiple=True, help="Column of the items table to return, such as title; repeatable."
)
@click.option(
    "--quantize",
    type=click.Choice(["none", "fp16", "int8", "weight8", "product"]),
    default="none",
    show_default=True,
    help="Quantise item vectors for a smaller file; the ranking is checked.",
)
@click.option(
    "--subvectors",
    type=click.IntRange(min=1),
    help="Bytes per vector for --quantize product; default: a quarter of the width.",
)
@click.option("--force", is_flag=True, help="Keep a quantised file even if its ranking lost too much.")
@click.option(
    "--sign",
    "key",
    metavar="KEY",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Sign the export with a private Ed25519 key (PEM file).",
)
@click.pass_obj
def export(
    registry: Registry,
    run: Path,
    output: Path | None,
    is_zipped: bool,
    keep_seen: bool,
    max_length: int | None,
    no_popular: bool,
    allow: Path | None,
    columns: tuple[str, ...],
    quantize: str,
    subvectors: int | None,
    force: bool,
    key: Path | None,
) -> None:
    """Export RUN as ONNX files that take raw ids and return raw ids."""
    from p5core.runs.create import open_run
    from p5core.system.signals import stopped_with
    from p5export.bundle.signature import read_private_key
    from p5export.export import export_run
    from p5export.graph.serving import ExportOptions

    options = ExportOptions(
        exclude_seen=False if keep_seen else None,
        max_length=max_length,
        popular=not no_popular,
        allow=None if allow is None else _lines(allow),
        metadata=columns,
        quantize=quantize,
        subvectors=subvectors,
        force=force,
    )
    signs_with = None if key is None else read_private_key(key)
    with stopped_with("Stopped; no export was made, and an older one is as it was. Export again."):
        made = export_run(open_run(run), output or run / "export", registry, options, click.echo, signs_with)
    if quantize == "none":
        click.echo(_proof(made.manifest["parity"]))
    click.echo(f"Export: {made.folder}")
    click.echo(f"Zip: {_zipped(made)}\n{_next_step(made)}" if is_zipped else _next_step(made))


def _zipped(made: Exported) -> Path:
    """The zip of an export, beside its folder."""
    from p5export.bundle.bundle import zip_folder

    target = made.folder.with_suffix(".zip")
    zip_folder(made.folder, target)
    return target


def _next_step(made: Exported) -> str:
    """A first call of the model."""
    from p5export.bundle.model_card import node_call

    call = node_call(made.manifest, str(made.folder / "model.onnx"))
    return f"From Node, after 'npm install --ignore-scripts onnxruntime-node':\n{call}"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--key",
    metavar="KEY",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Check the signature with a public Ed25519 key (PEM file).",
)
def verify(folder: Path, key: Path | None) -> None:
    """Verify that the export in FOLDER (or a zip) is intact and gives the same answers as when it was made."""
    from p5export.bundle.bundle import opened
    from p5export.bundle.signature import check_signature
    from p5export.validation.verify import sentence_of
    from p5export.validation.verify import verify as verify_folder

    with opened(folder) as where:
        if key is not None:
            check_signature(where, key)
        verified = verify_folder(where)
    click.echo(sentence_of(folder, verified))
    if key is not None:
        click.echo(f"Signed with the key that belongs to {key}.")


def _lines(path: Path) -> list[str]:
    from p5core.errors import ConfigError

    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not valid UTF-8: {error}. Save it as UTF-8, one id a line.") from None


def _proof(parity: Mapping[str, Any]) -> str:
    return (
        f"Equal to the network on {parity['cases']} requests (largest difference "
        f"{parity['largest_difference']:.1e}) and in the metrics of {parity['users_measured']:,} test users."
    )
