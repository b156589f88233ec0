"""Every error that P5 raises on purpose.

P5Error
├── ConfigError            an experiment file, a --set value or an option that is wrong
├── PluginError            a plugin or a part that cannot be used
│   ├── UnknownPartError   no installed part has this name
│   └── DuplicatePartError two plugins claim one name
├── DataError              input data that cannot be used, with the place of the fault
├── TrainingError          a training run that cannot go on
├── RunError               a run folder that is missing, incomplete, of another version or tampered with
└── ExportError            an export that would not be equal to its run, or a bundle that cannot be trusted
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "ConfigError",
    "DataError",
    "DuplicatePartError",
    "ExportError",
    "P5Error",
    "PluginError",
    "RunError",
    "TrainingError",
    "UnknownPartError",
    "did_you_mean",
]


class P5Error(Exception):
    """Base of all errors that P5 raises on purpose; its text is one clear sentence for the user."""

    @property
    def message(self) -> str:
        """The text, as the `Message` that it was raised with if it was."""
        return self.args[0] if self.args and isinstance(self.args[0], str) else str(self)


class ConfigError(P5Error):
    """An experiment file, a `--set` value or an option is wrong."""


class PluginError(P5Error):
    """A plugin or a part cannot be used."""


class UnknownPartError(PluginError):
    """No installed part has this name."""


class DuplicatePartError(PluginError):
    """Two plugins claim the same name for a part of one kind."""


class DataError(P5Error):
    """Input data cannot be used; the text names file, row and column where they are known."""


class TrainingError(P5Error):
    """A training run cannot go on."""


class RunError(P5Error):
    """A run folder is missing, incomplete, of another version or does not match its hashes."""


class ExportError(P5Error):
    """An export failed or a bundle is missing, incomplete or does not match its hashes."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest known word, or an empty string."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""
