"""`p5 ui`."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import click

from p5core.errors import ConfigError
from p5core.plugins.registry import Registry

__all__ = ["is_local", "ui"]


@click.command()
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path(), help="Working folder; default: the current one."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; addresses of other machines need --auth.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="Port to listen on; 0: a free one."
)
@click.option("--allow-host", "names", multiple=True, help="Additional host name of the interface; repeatable.")
@click.option("--auth", metavar="USER", help="Require a login as USER; the password is P5_UI_PASSWORD or asked for.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Maximum number of training jobs at the same time.",
)
@click.option("--mcp", is_flag=True, help="Serve the named endpoints to MCP clients too.")
@click.option("--demo", is_flag=True, help="Open the run made by 'p5 demo'.")
@click.option("--no-browser", is_flag=True, help="Print the address; open no browser.")
@click.pass_obj
def ui(
    registry: Registry,
    folder: Path,
    host: str,
    port: int,
    names: tuple[str, ...],
    auth: str | None,
    jobs: int,
    mcp: bool,
    demo: bool,
    no_browser: bool,
) -> None:
    """Open the web interface for a working folder."""
    folder = folder.resolve()
    _check(folder, host, auth, mcp)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # both are read while gradio is imported
    os.environ["GRADIO_TEMP_DIR"] = str(folder / ".gradio")
    from p5ui.server.browser import open_browser
    from p5ui.server.launch import Place, launch
    from p5ui.workspace.workspace import Workspace

    workspace = Workspace(folder, registry, jobs)
    place = Place(host, port, names, (auth, _password()) if auth else None)
    page = "runs?run=demo" if demo and _has_demo(workspace.runs) else ""
    launch(workspace, place, mcp, click.echo, page, None if no_browser or not is_local(host) else open_browser)


def _check(folder: Path, host: str, auth: str | None, mcp: bool) -> None:
    """Refuse to start without a folder, the packages of the extra `ui`, or a password where others can look in."""
    if not folder.is_dir():
        raise ConfigError(f"There is no folder {folder}. Make it first, or name another --folder.")
    if auth is None and not is_local(host):
        raise ConfigError(f"--host {host} lets other machines in. Add --auth USER, or listen at 127.0.0.1.")
    _require("gradio", "p5 ui", "p5rec[ui]")
    if mcp:
        _require("mcp", "p5 ui --mcp", "p5rec[mcp]")


def _require(package: str, command: str, extra: str) -> None:
    if find_spec(package) is None:
        raise ConfigError(
            f"'{command}' needs the package {package}, which is not installed. Run: pip install '{extra}'"
        )


def is_local(host: str) -> bool:
    """True if an address to listen at can be reached only from this machine."""
    return host in ("localhost", "::1") or host.startswith("127.")


def _password() -> str:
    return os.environ.get("P5_UI_PASSWORD") or str(click.prompt("Password", hide_input=True))


def _has_demo(runs: Path) -> bool:
    if (runs / "demo" / "run.json").is_file():
        return True
    click.echo(f"There is no run {runs / 'demo'} yet: press 'Start the demo' on the first page, or run 'p5 demo'.")
    return False
