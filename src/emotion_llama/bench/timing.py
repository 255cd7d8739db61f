"""Seconds: of one piece of work, of two sides in turn, and the best rate that a machine gives."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import torch

Side = Callable[[], float]
"""Does its work once and gives the seconds that count: what it prepares need not be among them."""

_BATCH_S = 0.02
_BATCHES = 7


def wait(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def timed(work: Callable[[], object], device: str) -> float:
    """Seconds of one call, until the device is done."""
    wait(device)
    start = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - start


def in_turn(sides: Sequence[Side], rounds: int) -> list[list[float]]:
    """Seconds of each side in each round; the sides take turns, so that a busy moment meets all of them."""
    if rounds < 1:
        raise ValueError(f"rounds: expected at least 1, found {rounds}")
    found: list[list[float]] = [[] for _ in sides]
    for number in range(rounds):
        order = list(range(len(sides)))
        for side in order if number % 2 == 0 else reversed(order):
            found[side].append(sides[side]())
    return found


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Median over rounds of slow ÷ fast."""
    return median(a / b for a, b in zip(slow, fast, strict=True))


def best_rate(work: Callable[[], object], amount: float, device: str) -> float:
    """Amount a second of the fastest of a few batches of calls: what is possible, not what is usual."""
    work()
    once_s = max(timed(work, device), 1e-9)
    calls = max(1, round(_BATCH_S / once_s))

    def batch() -> None:
        for _ in range(calls):
            work()

    return amount * calls / min(timed(batch, device) for _ in range(_BATCHES))
