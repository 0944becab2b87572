"""Something done for several stores, one after the other: one that fails stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from data_contracts.errors import TillbridgeError

T = TypeVar("T")


def each_store(codes: Iterable[str], work: Callable[[str], T]) -> tuple[tuple[T, ...], dict[str, str]]:
    """What it comes to for those that succeed, in their order; and store -> the error that stopped it."""
    done: list[T] = []
    failures: dict[str, str] = {}
    for code in codes:
        try:
            done.append(work(code))
        except TillbridgeError as error:
            failures[code] = str(error)
    return tuple(done), failures
