"""Micro-batching of requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Counted", "MicroBatcher"]

Job = TypeVar("Job")
Answer = TypeVar("Answer")


@dataclass
class Counted:
    """Counts of answered requests and calls."""

    requests: int = 0
    calls: int = 0
    largest_call: int = 0


@dataclass(frozen=True)
class _Waiting(Generic[Job, Answer]):
    job: Job
    answer: asyncio.Future[Answer]


@dataclass
class MicroBatcher(Generic[Job, Answer]):
    """Collects jobs and hands them to `answer`, which runs in a thread, one call at a time.

    While a call runs, the next jobs gather. Before a call, at most `wait` seconds are given to jobs that are known to
    come (`coming`) and to as many as came together last time; a job that comes alone is handed over at once.
    """

    answer: Callable[[Sequence[Job]], Sequence[Answer]]
    """one answer a job, for jobs of one shape"""
    shape: Callable[[Job], Hashable]
    """jobs of different shapes are never handed over together"""
    coming: Callable[[], int]
    """jobs that will be submitted in a moment"""
    most: int
    wait: float
    counted: Counted = field(default_factory=Counted)
    _queue: asyncio.Queue[_Waiting[Job, Answer]] = field(default_factory=asyncio.Queue)

    async def submit(self, job: Job, timeout: float) -> Answer:
        """The answer to a job; raises TimeoutError, or what `answer` raises for this job alone."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Waiting(job, future))
        async with asyncio.timeout(timeout):
            return await future

    async def run(self) -> None:
        """Answer jobs until cancelled."""
        last = 1
        with ThreadPoolExecutor(1, thread_name_prefix="p5-model") as thread:
            while True:
                batch = await self._collect(last)
                last = len(batch)
                for group in self._groups([history for history in batch if not history.answer.done()]):
                    await self._settle(group, thread)

    async def _collect(self, last: int) -> list[_Waiting[Job, Answer]]:
        batch = [await self._queue.get()]
        with suppress(TimeoutError):
            async with asyncio.timeout(self.wait):
                while len(batch) < self.most and (self._queue.qsize() or self.coming() or len(batch) < last):
                    batch.append(await self._queue.get())
        return batch

    def _groups(self, batch: list[_Waiting[Job, Answer]]) -> Iterator[list[_Waiting[Job, Answer]]]:
        groups: dict[Hashable, list[_Waiting[Job, Answer]]] = {}
        for history in batch:
            groups.setdefault(self.shape(history.job), []).append(history)
        yield from groups.values()

    async def _settle(self, group: list[_Waiting[Job, Answer]], thread: Executor) -> None:
        """Answer by one call; where it fails, each alone, so that none fails by its neighbours."""
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(thread, self.answer, [job.job for job in group])
        except Exception as error:
            if len(group) > 1:
                for job in group:
                    await self._settle([job], thread)
            elif not group[0].answer.done():
                group[0].answer.set_exception(error)
            return
        self.counted.calls += 1
        self.counted.requests += len(group)
        self.counted.largest_call = max(self.counted.largest_call, len(group))
        for member, answer in zip(group, answers, strict=True):
            if not member.answer.done():  # it gave up waiting
                member.answer.set_result(answer)
