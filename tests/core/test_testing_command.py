"""`python -m p5core.testing`, as a plugin author types it."""

from __future__ import annotations

import subprocess
import sys

import pytest


def kit(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "p5core.testing", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_part_that_keeps_its_promises() -> None:
    done = kit("encoder", "categories", "--set", 'columns=["genres"]')
    *checks, total = done.stdout.splitlines()
    assert done.returncode == 0
    assert all(check.startswith("passed encoder-categories-") for check in checks)
    assert total == f"{len(checks)} of {len(checks)} checks passed."
    assert "passed encoder-categories-an_export_equals_the_network" in checks


def test_a_part_that_does_not() -> None:
    done = kit("encoder", "categories")
    assert done.returncode == 1
    assert "FAILED encoder-categories-a_stopped_run_goes_on_exactly: " in done.stdout
    assert "model.encoders.0.columns: this option is required" in done.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "Name a KIND and the NAME of a part, such as 'backbone average', or a --distribution."),
        (("backbone", "gur"), "Unknown backbone 'gur'. Did you mean 'gru'?"),
        (("bakbone", "gru"), "'bakbone' is not one of 'loader'"),
        (("--distribution", "p5-none"), "No part of 'p5-none' is installed. 'p5 plugins list' shows all."),
    ],
)
def test_what_is_wrong_is_a_sentence(words: tuple[str, ...], sentence: str) -> None:
    done = kit(*words)
    assert done.returncode in (1, 2)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
