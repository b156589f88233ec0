"""Faults of the system in sentences."""

from __future__ import annotations

import errno
import os

__all__ = ["database_fault", "fault_of"]

REMEDIES = {
    errno.ENOSPC: "Free some space and try again; a run that was training goes on with --resume.",
    errno.EDQUOT: "Your quota is used up. Free some space and try again.",
    errno.EACCES: "Change the permissions, or choose another place.",
    errno.EFBIG: "A limit on the size of files was met (ulimit -f), here or in the temporary folder. Raise it.",
    errno.EPERM: "Change the permissions, or choose another place.",
    errno.EROFS: "Choose a place that can be written.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ENOTDIR: "A file lies where a folder is needed. Move it away, or choose another place.",
    errno.EISDIR: "A folder lies where a file is needed. Move it away, or choose another place.",
    errno.ESTALE: "The network drive lost the file. Try again.",
    errno.EIO: "The disk or network drive failed. Try again; a run that was training goes on with --resume.",
}
"""Error number → advice to the user."""


def fault_of(error: OSError) -> str:
    """One sentence about an OSError: the failure, the path and the remedy."""
    said = error.strerror or str(error) or type(error).__name__
    paths = " → ".join(str(path) for path in (error.filename, error.filename2) if path is not None)
    return f"{said}{f': {paths}' if paths else ''}. {REMEDIES.get(error.errno or 0, '')}".rstrip()


def database_fault(error: Exception) -> str:
    """One sentence about an input/output error of DuckDB, which names the file and the failure in its text."""
    said = str(error).strip().splitlines()[0].rstrip(".")
    remedies = (remedy for number, remedy in REMEDIES.items() if os.strerror(number) in said)
    return f"{said}. {next(remedies, 'Free some space in the temporary folder, or set TMPDIR.')}"
