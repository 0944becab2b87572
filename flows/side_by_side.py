"""Runs a step for several stores side by side: one that fails is named at the end and holds up no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from data_contracts.errors import FinalError, TransientError

SIDE_BY_SIDE = cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=4))


def results(futures: dict[str, PrefectFuture[Any]], failures: dict[str, BaseException]) -> dict[str, Any]:
    """Results per store of all futures; what failed is put into `failures`."""
    found: dict[str, Any] = {}
    for store, future in futures.items():
        result = future.result(raise_on_failure=False)
        if isinstance(result, BaseException):
            failures[store] = result
        else:
            found[store] = result
    return found


def until_done(
    stores: Sequence[str],
    submit: Callable[[str, bool], PrefectFuture[Any]],
    moved: Callable[[Any], bool],
    failures: dict[str, BaseException],
) -> dict[str, list[Any]]:
    """Run a step for stores, then again for those in which it moved something, until it moves nothing more.

    What arrives while a run is at work is thus seen by that run: the run that it would have triggered was
    cancelled by the concurrency limit. `submit` is told whether it is the first look. Returns the results
    per store in their order; what failed is put into `failures`.
    """
    found: dict[str, list[Any]] = {}
    first = True
    while stores:
        done = results({store: submit(store, first) for store in stores}, failures)
        for store, result in done.items():
            found.setdefault(store, []).append(result)
        stores = [store for store, result in done.items() if moved(result)]
        first = False
    return found


def texts(failures: dict[str, BaseException]) -> dict[str, str]:
    """What stopped each store, as the reports say it."""
    return {store: str(error) for store, error in failures.items()}


def raise_failures(failures: dict[str, BaseException]) -> None:
    """One error that names all; trying again helps only if it helps all of them."""
    if failures:
        passing = all(getattr(error, "transient", False) for error in failures.values())
        kind = TransientError if passing else FinalError
        named = "; ".join(f"{store}: {text}" for store, text in texts(failures).items())
        raise kind(named) from next(iter(failures.values()))
