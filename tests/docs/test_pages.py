"""The pages are right: every command and every Python example of theirs runs, in order, in a copy of this checkout.

So that it ends soon, the command `p5` on the path trains one epoch and searches one trial; `make docs` does neither.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

BASH = str(shutil.which("bash"))
ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md", "docs/index.md", "docs/data.md", "docs/embed.md", "docs/serve.md", "docs/tune.md", "docs/ui.md",
    "docs/results.md", "docs/benchmarks.md", "export/clients/README.md",
)  # fmt: skip
"""In the order of somebody who reads on; each may use what those before it have made."""

SERVERS = {("p5", "serve"): 8000, ("p5", "ui"): 7860, ("python3", "-m", "http.server"): 8000}
"""Commands that go on until they are stopped → where they listen."""

QUICK = """#!{python}
import re
import sys

import p5plugins.cli.demo
from p5core.cli import main

demo = sys.modules["p5plugins.cli.demo"]
demo.DEMO = re.sub(r"epochs = [0-9]+", "epochs = 1", demo.DEMO)
if sys.argv[1:2] in (["run"], ["finetune"], ["pretrain"]):
    sys.argv += ["--set", "stages.0.epochs=1"]
if sys.argv[1:2] == ["tune"]:
    sys.argv += ["--trials", "1", "--processes", "1", "--set", "stages.0.epochs=1"]
main()
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a fresh clone holds, with `.venv` as `make demo` sets it up."""
    folder = tmp_path_factory.mktemp("docs") / "p5"
    listed = subprocess.run(
        [str(shutil.which("git")), "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in listed:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    commands = folder / ".venv" / "bin"
    commands.mkdir(parents=True)
    for tool in Path(sys.executable).parent.iterdir():
        if tool.name.startswith("python"):
            (commands / tool.name).write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
            (commands / tool.name).chmod(0o755)
        elif tool.name not in ("p5", "activate"):
            (commands / tool.name).symlink_to(tool)
    is_quick = "P5_WHOLE_DOCS" not in os.environ
    text = QUICK if is_quick else "#!{python}\nfrom p5core.cli import main\n\nmain()\n"
    (commands / "p5").write_text(text.format(python=sys.executable))
    (commands / "p5").chmod(0o755)
    (commands / "activate").write_text(f'export PATH="{commands}:$PATH"\n')
    (folder / ".venv" / "installed").touch()
    return folder


def examples(page: str) -> Iterator[tuple[str, str]]:
    """Language and text of the code blocks of a page that can be run."""
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE):
        if language in ("sh", "python"):
            yield language, text


def environment(clone: Path) -> dict[str, str]:
    path = f"{clone / '.venv' / 'bin'}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "CI": "true", "PYTHONUNBUFFERED": "1", "COLUMNS": "160"}


def run(command: list[str], folder: Path, clone: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, env=environment(clone), capture_output=True, text=True, check=False, timeout=3_000
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3_000:]}\n{done.stderr[-3_000:]}"


class Shell:
    """Somebody who types the commands of a page one after the other."""

    def __init__(self, clone: Path, stack: ExitStack) -> None:
        self.clone, self.folder, self.stack = clone, clone, stack
        self.server: subprocess.Popen[bytes] | None = None

    def type(self, line: str) -> None:
        """Run a line as it stands there."""
        words = shlex.split(line, comments=True)
        if not words or words == ["make", "test"]:  # which runs this very test
            return
        if words[0] == "cd":
            self.folder = self.folder / words[1]
            return
        port = next((port for begin, port in SERVERS.items() if tuple(words[: len(begin)]) == begin), None)
        if port is None:
            run([BASH, "-c", line], self.folder, self.clone)
        else:
            self._serve(line, port)

    def _serve(self, line: str, port: int) -> None:
        self.stop()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)), f"something listens on port {port}, which the page names"
        self.server = subprocess.Popen(
            [BASH, "-c", f"exec {line}"], cwd=self.folder, env=environment(self.clone), stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 90
        while True:
            assert self.server.poll() is None, line
            assert time.monotonic() < deadline, line
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/", timeout=10).status_code < 500
                return
            except httpx.TransportError:
                time.sleep(0.3)

    def stop(self) -> None:
        """End a server that goes on."""
        if self.server is not None:
            self.server.send_signal(signal.SIGINT)
            self.server.wait(30)
            self.server = None


def test_every_command_and_example_of_the_pages_runs(clone: Path) -> None:
    n_run = 0
    for page in PAGES:
        with ExitStack() as stack:
            shell = Shell(clone, stack)
            if page == "docs/index.md":  # which begins where README begins
                shell.type("rm -r ratings.csv movies.csv yesterday.csv ratings.toml runs/first")
            stack.callback(shell.stop)
            for language, text in examples(page):
                if page == "docs/tune.md" and language == "python":
                    run([sys.executable, "-c", text], clone, clone)
                elif language == "python":
                    run([str(clone / ".venv" / "bin" / "python"), "-c", text], clone, clone)
                else:
                    if page == "export/clients/README.md":
                        shell.folder = clone
                    for line in text.splitlines():
                        shell.type(line)
                n_run += 1
    assert n_run > 15
    assert (clone / "recommendations.parquet").exists()
    assert (clone / "runs" / "wide-2" / "export" / "model.onnx").exists()


def test_every_page_is_among_them() -> None:
    pages = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")]
    assert [page for page in pages if page not in PAGES and [*examples(page)] and page != "docs/plugins.md"] == []
