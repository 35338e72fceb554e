"""Contenders in turns, so that what else the machine does hits all of them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


def in_turns(contenders: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """A B A B …: what each contender returned, round by round."""
    found: dict[str, list[T]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            gc.collect()
            found[name].append(measure())
    return found


def milliseconds(work: Callable[[], object]) -> float:
    """How long one call takes on the wall clock."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3
