"""Running the HTTP server."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from p5core.errors import ExportError
from p5export.bundle.bundle import opened
from p5export.service.limits import Limits

if TYPE_CHECKING:
    from p5export.service.model import RequestModel

__all__ = ["require", "run"]

SECONDS_TO_ACCEPT = 0.2

SPARE_FILES = 100
"""Of those that the process may open: for the model and libraries, not for connections."""

LOCAL = ("127.0.0.1", "localhost", "[::1]")


def require() -> None:
    """Raises ExportError when the packages of the extra `serve` are missing."""
    try:
        import fastapi
        import fastapi_offline
        import uvicorn
    except ImportError as error:
        raise ExportError(
            f"'p5 serve' needs the package {error.name}, which is not installed. Run: pip install 'p5rec[serve]'"
        ) from None
    del fastapi, fastapi_offline, uvicorn


def run(
    folder: Path,
    host: str,
    port: int,
    threads: int | None,
    names: Sequence[str],
    limits: Limits,
    say: Callable[[str], None],
) -> None:
    """Serve an export, a folder or a zip, until SIGTERM or Ctrl-C; what was asked before is still answered.

    SIGHUP loads the export again. Raises ExportError for an export that cannot be trusted, and for an address that
    cannot be had.
    """
    import uvicorn

    from p5export.service.app import Source, build_app
    from p5export.service.protocol import protocol_of

    class Server(uvicorn.Server):
        """Answers what has arrived before it ends, connections that wait to be accepted included."""

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await asyncio.sleep(SECONDS_TO_ACCEPT)
            await super().shutdown(sockets)

    with _stopped_by_sigterm(), _listening(host, port) as listener:
        model = _loaded(folder, threads)
        source = Source(lambda: _loaded(folder, threads), say) if hasattr(signal, "SIGHUP") else None
        hosts = list(dict.fromkeys([*LOCAL, *(f"[{name}]" if ":" in name else name for name in (host, *names))]))
        app = build_app(model, limits, hosts, source)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_keep_alive=30,
            timeout_graceful_shutdown=max(1, round(limits.timeout)), proxy_headers=False, ws="none",
            http=protocol_of(limits.timeout, min(max(64, limits.requests * 4), _n_files() - SPARE_FILES)),
        )  # fmt: skip
        at = listener.getsockname()
        shown = f"[{at[0]}]" if ":" in at[0] else at[0]
        say(f"Serving '{model.bundle.manifest['run']}' at http://{shown}:{at[1]} (page: /docs) as {', '.join(hosts)}.")
        Server(config).run(sockets=[listener])


def _loaded(path: Path, threads: int | None) -> RequestModel:
    """The model of a folder or a zip, ready to answer: the first request shall not wait for loading."""
    from p5export.service.model import RecommendJob, RequestModel, ScoreJob

    with opened(path) as folder:
        model = RequestModel(folder, threads=threads)
        nobody: list[str | int] | int = [] if model.uses_history else 0
        model.answer([RecommendJob(nobody, 1), ScoreJob(nobody, [])])
    return model


def _n_files() -> int:
    """Maximum number of files and connections that this process may hold open."""
    try:
        import resource
    except ImportError:  # Windows, whose sockets are no files
        return 8_192
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 8_192 if soft == resource.RLIM_INFINITY else max(soft, 2 * SPARE_FILES)


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the program like a return, so that temporary files are removed."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ExportError(f"Cannot listen at {host}, port {port}: {reason}. Choose another --host or --port.") from None
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or an answer waits 40 ms for an acknowledgement
    with listener:
        yield listener
