"""How the server gathers requests into calls, and how it reads and writes ids."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from p5core.errors import ExportError
from p5export.service_batching import MicroBatcher
from p5export.service_ids import to_json, to_raw


def batcher(seen: list[list[int]], coming: Sequence[int] = (0,), wait: float = 0.05) -> MicroBatcher[int, int]:
    """Squares numbers; 13 fails every call that it is in, and calls take a moment."""

    def answer(jobs: Sequence[int]) -> list[int]:
        seen.append(list(jobs))
        time.sleep(0.01)
        if 13 in jobs:
            raise ValueError("13 is unlucky")
        return [job * job for job in jobs]

    return MicroBatcher(answer, lambda job: job >= 100, lambda: coming[0], most=8, wait=wait)


def run_batcher(one: MicroBatcher[int, int], *jobs: int, timeout: float = 5) -> list[Any]:
    async def scenario() -> list[Any]:
        worker = asyncio.create_task(one.run())
        found = await asyncio.gather(*(one.submit(job, timeout) for job in jobs), return_exceptions=True)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        return found

    return asyncio.run(scenario())


def test_jobs_of_one_shape_share_a_call_up_to_the_limit() -> None:
    seen: list[list[int]] = []
    one = batcher(seen)
    assert run_batcher(one, 1, 2, 100, 3) == [1, 4, 10_000, 9]
    assert seen == [[1, 2, 3], [100]]
    assert (one.counted.requests, one.counted.calls, one.counted.largest_call) == (4, 2, 3)
    seen.clear()
    assert run_batcher(batcher(seen), *range(12)) == [job * job for job in range(12)]
    assert [len(jobs) for jobs in seen] == [8, 4]


def test_a_job_that_fails_does_not_fail_its_neighbours() -> None:
    first, failed, last = run_batcher(batcher([]), 1, 13, 3)
    assert (first, last) == (1, 9)
    assert isinstance(failed, ValueError)


def test_only_a_job_that_knows_of_others_waits() -> None:
    seen: list[list[int]] = []
    started = time.monotonic()
    run_batcher(batcher(seen, wait=5), 1)
    assert time.monotonic() - started < 2
    run_batcher(batcher(seen, coming=(1,), wait=0.3), 1)
    assert time.monotonic() - started > 0.3
    assert seen == [[1], [1]]


def test_a_job_that_waits_too_long_gives_up_and_costs_no_call() -> None:
    seen: list[list[int]] = []

    async def scenario() -> None:
        one = batcher(seen, wait=0)
        with pytest.raises(TimeoutError):
            await one.submit(1, 0.01)
        worker = asyncio.create_task(one.run())
        assert await one.submit(2, 5) == 4
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)

    asyncio.run(scenario())
    assert seen == [[2]]


def test_ids_that_fit_a_double_are_numbers() -> None:
    assert [to_json(one) for one in (2**53 - 1, 2**53, -(2**53), "7")] == [2**53 - 1, str(2**53), str(-(2**53)), "7"]
    assert to_raw([7, "7", "é"], "string") == ["7", "7", "é"]
    for wrong in (2**63, "1_0", "١", " 1", "1.0", ""):
        with pytest.raises(ExportError, match="The ids of this model are 64-bit integers; got"):
            to_raw([wrong], "int64")
