"""import-orders: waiting batches of the stores into the hub; looks again until nothing waits."""

from __future__ import annotations

from typing import Any, cast

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from data_contracts.errors import FinalError, TransientError
from data_contracts.parameters import HubScope
from flows import reporting
from tasks import steps
from tasks.settings import load_settings
from tasks.use_cases.importing import ImportedBatch, ImportSummary, still_waiting
from tasks.use_cases.inbox import BatchRef

_EVERYTHING = HubScope()
_SIDE_BY_SIDE = cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=4))


@flow(
    name="import-orders",
    flow_run_name="import-{scope.label}",
    persist_result=False,
    task_runner=_SIDE_BY_SIDE,
)
def import_orders(scope: HubScope = _EVERYTHING, dry_run: bool = False) -> ImportSummary:
    """Fetch, validate and import what waits: in order per store, stores side by side.

    A store that fails does not hold up the others; it is named at the end and the run fails. With
    `dry_run` batches are fetched and validated, and nothing is imported.
    """
    settings = load_settings()
    done: list[ImportedBatch] = []
    checked: list[ImportedBatch] = []
    failures: dict[str, BaseException] = {}
    texts: dict[str, str] = {}
    while waiting := still_waiting(steps.find_waiting(settings, scope.stores), texts):
        fetching = {store: steps.fetch_store.submit(settings, store, refs) for store, refs in waiting.items()}
        fetched = _results(fetching, failures)
        done += [batch for _, finished in fetched.values() for batch in finished]
        ready: dict[str, list[BatchRef]] = {store: refs for store, (refs, _) in fetched.items() if refs}
        if ready:
            verdicts = steps.validate(settings, [ref for refs in ready.values() for ref in refs])
            checked += verdicts if dry_run else []
        if dry_run:
            break
        importing = {store: steps.import_store.submit(settings, store, refs) for store, refs in ready.items()}
        done += [batch for batches in _results(importing, failures).values() for batch in batches]
        texts = {store: str(error) for store, error in failures.items()}
    summary = ImportSummary(tuple(done), tuple(checked), texts)
    reporting.show_import(summary)
    if failures:
        kind = TransientError if all(map(_is_transient, failures.values())) else FinalError
        raise kind("; ".join(f"{store}: {text}" for store, text in texts.items())) from next(
            iter(failures.values())
        )
    return summary


def _results(futures: dict[str, PrefectFuture[Any]], failures: dict[str, BaseException]) -> dict[str, Any]:
    """Results per store of all futures; what failed is put into `failures`."""
    results: dict[str, Any] = {}
    for store, future in futures.items():
        result = future.result(raise_on_failure=False)
        if isinstance(result, BaseException):
            failures[store] = result
        else:
            results[store] = result
    return results


def _is_transient(error: BaseException) -> bool:
    return bool(getattr(error, "transient", False))
