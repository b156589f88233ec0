"""Running servers of exports, for tests of what their clients see."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

__all__ = ["P5", "Server", "serving"]

P5 = "from p5core.cli import build; from p5core.plugins.discovery import load_plugins\n" \
    "from p5export.cli.serve import serve\n" \
    "group = build(load_plugins()); group.add_command(serve); group(prog_name='p5')"  # fmt: skip


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[str]
    client: httpx.Client
    port: int
    greeting: str

    def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        return self.client.post(path, json=body, **options)

    def stop(self, by: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Exit code, and all that was printed on the way."""
        self.process.send_signal(by)
        return self.process.wait(15), self.process.stdout.read() if self.process.stdout else ""


@contextmanager
def serving(folder: Path, *options: object, **environment: str) -> Iterator[Server]:
    command = [sys.executable, "-c", P5, "serve", str(folder), "--port", "0", "--threads", "1", *map(str, options)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment}
    ) as process:
        assert process.stdout is not None
        try:
            greeting = process.stdout.readline()
            port = re.search(r"http://[^ ]+:(\d+) ", greeting)
            assert port is not None, greeting + process.stdout.read()
            limits = httpx.Limits(max_connections=None)
            with httpx.Client(base_url=f"http://127.0.0.1:{port[1]}", timeout=20, limits=limits) as client:
                yield Server(process, client, int(port[1]), greeting)
        finally:
            process.kill()
