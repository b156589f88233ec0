"""Deadlines for idle connections, which uvicorn would keep open and count as requests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["protocol_of"]


def protocol_of(timeout: float, most: int) -> type[H11Protocol]:
    """HTTP/1.1 with a deadline for headers, in seconds, and at most so many connections.

    One more takes the place of the one that has waited longest without a whole request.
    """
    return type("Patient", (_Patient,), {"pool": _Connections(timeout, most)})


@dataclass
class _Connections:
    """The open connections of a server."""

    timeout: float
    most: int
    opened: set[H11Protocol] = field(default_factory=set)
    waiting: dict[H11Protocol, None] = field(default_factory=dict)
    """those without a whole request, in the order in which they began to wait"""


class _Patient(H11Protocol):
    """A connection that is closed when it waits for too long, or when others need its place."""

    pool: ClassVar[_Connections]

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.pool.opened) >= self.pool.most:
            next(iter(self.pool.waiting), self).transport.abort()
        self.pool.opened.add(self)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self.pool.opened.discard(self)
        self._arrive(is_whole=True)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._arrive(is_whole=not self.cycle.more_body)
        elif self._deadline is None and self in self.pool.opened:  # a part of the headers of the next request
            self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and self in self.pool.opened and self not in self.pool.waiting:
            self.pool.waiting[self] = None  # until the next request begins; uvicorn has a deadline for that

    def _wait(self) -> None:
        """From now on headers are expected."""
        self.pool.waiting[self] = None
        self._deadline = self.loop.call_later(self.pool.timeout, self.transport.abort)

    def _arrive(self, is_whole: bool) -> None:
        """The headers are there; a whole request keeps its place. The application has the deadline for bodies."""
        if is_whole:
            self.pool.waiting.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
