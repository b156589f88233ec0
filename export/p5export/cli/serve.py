"""`p5 serve`."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["serve"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port to listen on; 0: a free one."
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of one model call; default: all cores.")
@click.option("--allow-host", "names", multiple=True, help="Additional host name of the server; repeatable.")
@click.option("--max-k", type=click.IntRange(min=1), default=1000, show_default=True, help="Items of an answer.")
@click.option(
    "--max-history", type=click.IntRange(min=1), default=10_000, show_default=True, help="Items of a history."
)
@click.option("--max-candidates", type=click.IntRange(min=1), default=10_000, show_default=True, help="Items scored.")
@click.option("--max-body", type=click.IntRange(min=1), default=2**20, show_default=True, help="Bytes of a request.")
@click.option(
    "--max-requests", type=click.IntRange(min=1), default=256, show_default=True, help="Requests taken at once."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Timeout in seconds for receiving and for answering a request.",
)
def serve(
    folder: Path,
    host: str,
    port: int,
    threads: int | None,
    names: tuple[str, ...],
    max_k: int,
    max_history: int,
    max_candidates: int,
    max_body: int,
    max_requests: int,
    timeout: float,
) -> None:
    """Answer HTTP requests with the export in FOLDER (or a zip).

    Listens on this machine alone, under the names 127.0.0.1 and localhost, unless told otherwise. There is no
    password and no encryption: put a proxy that has both in front before others can reach it. SIGHUP loads the export
    again.
    """
    from p5export.service.limits import Limits
    from p5export.service.server import require, run

    require()
    limits = Limits(max_k, max_history, max_candidates, max_body, max_requests, timeout)
    run(folder, host, port, threads, names, limits, click.echo)
