"""The working folder of the web interface and its services."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from p5core.errors import ConfigError
from p5core.plugins.registry import Registry
from p5core.runs.create import list_runs, open_run
from p5core.runs.jobs import Jobs
from p5core.runs.run import Run
from p5ui.workspace.file_cache import FileCache

__all__ = ["Workspace"]


@dataclass(frozen=True, eq=False)
class Workspace:
    """The working folder, the only place that pages read and write, and the installed parts."""

    folder: Path
    """absolute"""

    registry: Registry

    jobs_at_once: int = 1
    """jobs that train at the same time; the others wait"""

    file_cache: FileCache = field(default_factory=FileCache)
    """cache of values read from files"""

    @property
    def runs(self) -> Path:
        """Folder of the runs."""
        return self.folder / "runs"

    @property
    def jobs(self) -> Jobs:
        """The job queue."""
        return Jobs(self.folder, self.jobs_at_once)

    @property
    def uploads(self) -> Path:
        """Folder of uploaded files."""
        return self.folder / "uploads"

    @property
    def experiments(self) -> Path:
        """Folder of experiments saved from the form."""
        return self.folder / "experiments"

    def inside(self, name: str) -> Path:
        """The path `name`, relative to the folder; raises ConfigError for one outside, by `..`, link or absolute."""
        if "\0" in name:
            raise ConfigError(f"{name!r} is no path. Name a file or folder below the working folder.")
        path = (self.folder / name).resolve()
        if not name or Path(name).is_absolute() or not path.is_relative_to(self.folder.resolve()):
            raise ConfigError(f"'{name}' is not below the working folder. Name a file or folder inside of it.")
        return path

    def run_names(self) -> list[str]:
        """Names of all runs, newest first; that of a fold is NAME/fold-1."""
        return [run.path.relative_to(self.runs).as_posix() for run in list_runs(self.runs)]

    def run(self, name: str) -> Run:
        """The run of a name; raises RunError when there is none, ConfigError for a name that leads elsewhere."""
        return open_run(self.inside(f"runs/{name}"))
