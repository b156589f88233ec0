"""The graph of an export in Netron, when that is installed: `python -m p5ui.server.viewer FILE PORT` serves it."""

from __future__ import annotations

import importlib
import socket
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from p5core.errors import ExportError

__all__ = ["Viewer", "main"]

HOST = "127.0.0.1"


class Viewer:
    """Shows one file at a time, on this machine alone, in a process that ends with this one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._changing = threading.Lock()

    def show(self, path: Path) -> str:
        """The address where a graph is to be seen; raises ExportError without Netron."""
        if find_spec("netron") is None:
            raise ExportError("Netron is not installed. Run 'pip install netron', then try again.")
        with self._changing:
            self.close()
            port = _free_port()
            command = [sys.executable, "-m", "p5ui.server.viewer", str(path), str(port)]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert self._process.stdout is not None
            if not self._process.stdout.readline():
                raise ExportError(f"Netron could not be started on {path}. See what it wrote in the terminal.")
        return f"http://{HOST}:{port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End what is shown."""
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()
            self._process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Serve the graph until the process that asked has ended: then nobody holds the other end of the input."""
    path, port = sys.argv[1:]
    importlib.import_module("netron").start(path, address=(HOST, int(port)), browse=False)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
