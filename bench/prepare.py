"""Time and memory of preparing ten million events: kinds of ids, formats, conditions, weights and times in texts.

    python bench/prepare.py [--events N] [--keep FOLDER] [--case NAME ...]

Makes a log with the synthetic loader, writes it as Parquet and CSV, and prepares it in a fresh process through the
`table` loader. Exits with 1 when a preparation takes more than 60 seconds or 2 GB of resident memory.
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
from typing import Any

import duckdb

from p5core.config.base import PartSpec
from p5core.config.prepare import PrepareConfig
from p5core.data.ingest.prepare import prepare
from p5core.plugins.discovery import load_plugins

__all__: list[str] = []

SECONDS, GIGABYTES = 60, 2.0
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB on Linux

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "integer ids": ("int64.parquet", {}),
    "text ids": ("string.parquet", {}),
    "CSV": ("plain.csv", {}),
    "CSV, where": ("plain.csv", {"where": "kind = 'view' and quantity > 0"}),
    "CSV, weight": ("plain.csv", {"weight": "quantity"}),
    "CSV, event_weights": ("plain.csv", {"event": "kind", "event_weights": {"view": 1, "cart": 3, "buy": 5}}),
    "CSV, dates": ("dates.csv", {}),
    "CSV, time_format": ("dates.csv", {"time_format": "%Y-%m-%d %H:%M:%S"}),
    "CSV, days first": ("days.csv", {}),
}
"""Name → file and options of the loader."""


def write(path: Path, n_events: int) -> None:
    """Write a log of `n_events`, a hundredth of them users and a thousandth items."""
    id_kind = "string" if path.stem == "string" else "int64"
    options = {"n_users": n_events // 100, "n_items": n_events // 1000, "n_events": n_events, "id_kind": id_kind}
    loader = load_plugins().choose("loader", PartSpec.model_validate({"name": "synthetic", **options})).build()
    events = loader.load().interactions.sample(frac=1, random_state=0)
    if path.suffix == ".parquet":
        events.to_parquet(path, index=False)
        return
    moment = "make_timestamp(CAST(timestamp AS BIGINT) * 1000000)"
    times = {
        "plain": "CAST(timestamp AS BIGINT)",
        "dates": f"strftime({moment}, '%Y-%m-%d %H:%M:%S')",
        "days": f"strftime({moment}, '%d/%m/%Y %H:%M:%S')",
    }
    connection = duckdb.connect()
    connection.register("events", events)
    kind = "['view', 'view', 'cart', 'buy'][CAST(1 + hash(item) % 4 AS BIGINT)] AS kind"
    columns = f"{times[path.stem]} AS timestamp, {kind}, CAST(hash(timestamp) % 5 AS INTEGER) AS quantity"
    connection.execute(f"COPY (SELECT user, item, {columns} FROM events) TO '{path}' (FORMAT csv)")


def measure(path: Path, options: dict[str, Any]) -> None:
    """Prepare a log in this process and print what it took as JSON."""
    section = {"name": "table", "path": str(path), **options}
    loader = load_plugins().choose("loader", PartSpec.model_validate(section)).build()
    began = time.perf_counter()
    dataset, _ = prepare(loader.load(), PrepareConfig(min_user_events=5, min_item_events=5))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / 1e9
    print(json.dumps({"seconds": seconds, "gigabytes": peak, "events": len(dataset.events)}))


def in_own_process(function: str, *arguments: str) -> str:
    """Run one function of this file in a fresh interpreter, so that its peak memory is its own."""
    command = [sys.executable, __file__, function, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def compare(folder: Path, n_events: int, names: list[str]) -> bool:
    """Write, prepare and print each case; True when every one is within the targets."""
    is_good = True
    for name in names or CASES:
        file, options = CASES[name]
        path = folder / str(n_events) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            in_own_process("write", str(path), str(n_events))
        measured = json.loads(in_own_process("measure", str(path), json.dumps(options)))
        print(
            f"{n_events:,} events, {name}: {measured['seconds']:.1f} s (target {SECONDS} s), "
            f"peak {measured['gigabytes']:.2f} GB (target {GIGABYTES} GB), {measured['events']:,} events stay",
            flush=True,
        )
        is_good = is_good and measured["seconds"] < SECONDS and measured["gigabytes"] < GIGABYTES
    return is_good


def main() -> int:
    """Run what was asked for."""
    if sys.argv[1:2] == ["write"]:
        write(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["measure"]:
        measure(Path(sys.argv[2]), json.loads(sys.argv[3]))
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--events", type=int, default=10_000_000)
        parser.add_argument("--keep", type=Path, help="a folder to keep the logs in, for the next time")
        parser.add_argument(
            "--case", action="append", default=[], choices=CASES, help="a case to measure; default: all"
        )
        options = parser.parse_args()
        with tempfile.TemporaryDirectory() as folder:
            return int(not compare(options.keep or Path(folder), options.events, options.case))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
