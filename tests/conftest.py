"""One thread a process: tests run side by side, and their tensors are small."""

from __future__ import annotations

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; subprocesses inherit it
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and theirs, would ignore it
