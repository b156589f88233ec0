"""`python -m p5core.cli.job FOLDER ARGUMENTS`: the command p5, with who runs it and how it ended kept in files."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from p5core.cli import build
from p5core.plugins.discovery import load_plugins
from p5core.system.files import write_json
from p5core.system.processes import born

__all__ = ["STOPPED", "main"]

STOPPED = 130
"""Exit code of a command that was asked to stop."""


def main() -> None:
    """Run the command in this process; `start.json` says which one it is and `end.json` its exit code."""
    folder = Path(sys.argv[1]).absolute()
    write_json(folder / "start.json", {"pid": os.getpid(), "born": born(os.getpid())})
    signal.signal(signal.SIGTERM, _stop)  # until the command itself takes signals
    code: object = 1
    try:
        build(load_plugins()).main(sys.argv[2:], prog_name="p5")
    except SystemExit as leaving:
        code = leaving.code or 0
        raise
    finally:
        write_json(folder / "end.json", {"code": code if isinstance(code, int) else 1})


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Leave like a command that was stopped, so that temporary files are removed."""
    raise SystemExit(STOPPED)


if __name__ == "__main__":
    main()
