"""Limits of single requests and of all requests together."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Limits beyond which a request is refused."""

    k: int = 1000
    """items of one answer"""
    history: int = 10_000
    """items of one history"""
    candidates: int = 10_000
    """items scored by one request"""
    body: int = 2**20
    """bytes of one request"""
    requests: int = 256
    """requests that are read, wait or are answered at once; one more gets 503"""
    timeout: float = 10.0
    """seconds that a body may take to arrive, and seconds that a request may wait for its answer"""
    batch: int = 64
    """requests answered by one call of the model"""
    wait: float = 0.002
    """seconds that a request waits for others that are about to come"""
