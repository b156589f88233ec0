"""`p5 ui`."""

from __future__ import annotations

from pathlib import Path

import click

from p5core.plugins import Registry

__all__ = ["ui"]


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path(), help="Working folder; this one otherwise.")
@click.option("--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="0 takes a free one.")
@click.pass_obj
def ui(registry: Registry, folder: Path, port: int) -> None:
    """Open the web interface for a working folder."""
    from p5ui.app import build_app
    from p5ui.studio import Studio
    from p5ui.words import I18N

    app = build_app(Studio(folder.resolve(), registry))
    app.launch(server_name="127.0.0.1", server_port=port or None, ssr_mode=False, i18n=I18N)
