"""Tests run side by side: one thread a process, for their tensors are small, and no port that two would take."""

from __future__ import annotations

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; subprocesses inherit it
os.environ.setdefault("GRADIO_SERVER_PORT", "7900")  # where free ports begin; 7860 is for the commands of the pages
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and theirs, would ignore it
