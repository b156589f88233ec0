"""Shared by tests of the clients in other languages: tools of the machine, and installed copies of the clients."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["CLIENTS", "installed", "run", "tool"]

CLIENTS = Path(__file__).parents[1] / "export" / "clients"


def tool(*names: str) -> str:
    """Path of the first tool there is; without any, a skip that says why, and a failure where CI is set."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        reason = f"{' or '.join(names)} is not installed"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return str(found)


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([str(one) for one in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(client: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the clients with the packages of one of them."""
    tool("node")
    folder = tmp_path_factory.mktemp("clients") / "clients"
    shutil.copytree(CLIENTS, folder, ignore=shutil.ignore_patterns("node_modules", "site"))
    run(tool("npm"), "install", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder / client)
    return folder / client
