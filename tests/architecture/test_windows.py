"""What is imported needs nothing that Windows lacks."""

from __future__ import annotations

import subprocess
import sys

IMPORT_ALL = """
import importlib, importlib.abc, os, pkgutil, signal, sys

MISSING = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty"}
OURS = ("p5core", "p5plugins", "p5export", "p5ui")
names = []
for package in OURS:
    found = importlib.import_module(package)
    names += [one.name for one in pkgutil.walk_packages(found.__path__, package + ".")]
import torch, duckdb, gradio, uvicorn, filelock, psutil, lightning_fabric  # these know Windows themselves

class Windows(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in MISSING:
            raise ImportError(name + " is not there on Windows")

for name in MISSING:
    sys.modules.pop(name, None)
for name in [one for one in sys.modules if one.split(".")[0] in OURS]:
    del sys.modules[name]
sys.meta_path.insert(0, Windows())
for name in ("SIGHUP", "SIGKILL", "SIGPIPE", "pause"):
    delattr(signal, name)
for name in ("fork", "getpgid", "killpg", "getpriority", "setpriority", "getuid"):
    delattr(os, name)
for name in names:
    if not name.endswith("__main__") and "testing" not in name:
        importlib.import_module(name)
print(len(names))
"""


def test_nothing_at_import_needs_posix() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1_500:]
    assert int(done.stdout.splitlines()[-1]) > 250
