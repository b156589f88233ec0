"""Time and memory of preparing ten million events, with integer and with string ids.

    python bench/prepare.py [--events N] [--keep FOLDER]

Makes a log with the synthetic loader, writes it to Parquet, and prepares it in a fresh process through the `table`
loader. Exits with 1 when a preparation takes more than 60 seconds or 2 GB of resident memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from p5core.config.base import PartSpec
from p5core.config.prepare import PrepareConfig
from p5core.data.ingest.prepare import prepare
from p5core.plugins.discovery import load_plugins

__all__: list[str] = []

SECONDS, GIGABYTES = 60, 2.0
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB on Linux


def write(path: Path, n_events: int, id_kind: str) -> None:
    """Write a log of `n_events`, a hundredth of them users and a thousandth items."""
    options = {"n_users": n_events // 100, "n_items": n_events // 1000, "n_events": n_events, "id_kind": id_kind}
    loader = load_plugins().choose("loader", PartSpec.model_validate({"name": "synthetic", **options})).build()
    loader.load().interactions.sample(frac=1, random_state=0).to_parquet(path, index=False)


def measure(path: Path) -> None:
    """Prepare a log in this process and print what it took as JSON."""
    loader = load_plugins().choose("loader", PartSpec.model_validate({"name": "table", "path": str(path)})).build()
    began = time.perf_counter()
    dataset, _ = prepare(loader.load(), PrepareConfig(min_user_events=5, min_item_events=5))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / 1e9
    print(json.dumps({"seconds": seconds, "gigabytes": peak, "events": len(dataset.events)}))


def in_own_process(function: str, *arguments: str) -> str:
    """Run one function of this file in a fresh interpreter, so that its peak memory is its own."""
    command = [sys.executable, __file__, function, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def compare(folder: Path, n_events: int) -> bool:
    """Write, prepare and print both kinds of ids; True when every one is within the targets."""
    is_good = True
    for id_kind in ("int64", "string"):
        path = folder / f"{id_kind}-{n_events}.parquet"
        if not path.exists():
            in_own_process("write", str(path), str(n_events), id_kind)
        measured = json.loads(in_own_process("measure", str(path)))
        print(
            f"{n_events:,} events, {id_kind} ids: {measured['seconds']:.1f} s (target {SECONDS} s), "
            f"peak {measured['gigabytes']:.2f} GB (target {GIGABYTES} GB), {measured['events']:,} events stay",
            flush=True,
        )
        is_good = is_good and measured["seconds"] < SECONDS and measured["gigabytes"] < GIGABYTES
    return is_good


def main() -> int:
    """Run what was asked for."""
    if sys.argv[1:2] == ["write"]:
        write(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    elif sys.argv[1:2] == ["measure"]:
        measure(Path(sys.argv[2]))
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--events", type=int, default=10_000_000)
        parser.add_argument("--keep", type=Path, help="a folder to keep the logs in, for the next time")
        options = parser.parse_args()
        with tempfile.TemporaryDirectory() as folder:
            return int(not compare(options.keep or Path(folder), options.events))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
