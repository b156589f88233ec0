"""How the server gathers requests into calls, and how it reads and writes ids."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from p5core.errors import ExportError
from p5export.bundle.bundle import Bundle
from p5export.bundle.raw_ids import as_ids
from p5export.runtime import Recommended
from p5export.service.app import build_app
from p5export.service.batching import MicroBatcher
from p5export.service.ids import to_json
from p5export.service.limits import Limits
from p5export.service.model import RequestModel


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
    assert as_ids([7, "7", "é"], "string") == ["7", "7", "é"]
    for wrong in (2**63, "1_0", "١", " 1", "1.0", ""):
        with pytest.raises(ExportError, match="The ids of this model are 64-bit integers; got"):
            as_ids([wrong], "int64")


class Moody(RequestModel):
    """A model that sleeps over an item "slow" and breaks over an item "bad"."""

    def __init__(self) -> None:
        manifest = {"run": "moody", "p5": "1", "n_items": 3, "id_kind": "string", "inputs": {"history": []}}
        self.bundle = Bundle(Path(), manifest)

    def answer(self, jobs: Sequence[Any]) -> list[Any]:
        asked = [one for job in jobs for one in job.who]
        if "slow" in asked:
            time.sleep(0.4)
        if "bad" in asked:
            raise RuntimeError("no such kernel")
        return [[Recommended("a", 1.0)] for _ in jobs]


def ask_moody(*histories: list[str], limits: Limits) -> list[httpx.Response]:
    """Responses to requests that come at once."""

    async def scenario() -> list[httpx.Response]:
        app = build_app(Moody(), limits, ["localhost"])
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport) as client:
            address = "http://localhost/recommend"
            return await asyncio.gather(*(client.post(address, json={"history": one}) for one in histories))

    return asyncio.run(scenario())


def test_too_many_requests_are_told_to_come_back() -> None:
    *answered, refused = sorted(ask_moody(*[["slow"]] * 4, limits=Limits(requests=3)), key=lambda one: one.status_code)
    assert [one.status_code for one in answered] == [200] * 3
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert refused.json()["detail"] == "The server is answering 3 requests already. Try again in a second."


def test_a_model_that_takes_too_long_is_told_to_the_client() -> None:
    response, *_ = ask_moody(["slow"], limits=Limits(timeout=0.1))
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert response.json()["detail"] == "The request was not answered within 0.1 seconds. Try again."


def test_a_request_that_breaks_the_model_breaks_no_other_and_tells_nothing() -> None:
    good, bad, other = ask_moody(["a"], ["bad"], [], limits=Limits())
    assert (good.status_code, bad.status_code, other.status_code) == (200, 500, 200)
    assert good.json() == other.json() == {"items": [{"item": "a", "score": 1.0, "metadata": {}}]}
    assert bad.text == "Internal Server Error"
