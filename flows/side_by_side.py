"""Runs a step for several stores side by side: one that fails is named at the end and holds up no other."""

from __future__ import annotations

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
