"""import-orders: waiting batches of the stores into the hub; looks again until nothing waits."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow

from data_contracts.parameters import DryRun, HubScope
from flows import events, reporting
from flows.side_by_side import SIDE_BY_SIDE, raise_failures, results, texts
from tasks import steps
from tasks.settings import load_settings
from tasks.use_cases.arrivals import ImportedBatch, ImportSummary, still_waiting
from tasks.use_cases.inbox import BatchRef

_EVERYTHING = HubScope()


@flow(
    name="import-orders",
    flow_run_name="import-{scope.label}",
    persist_result=False,
    task_runner=SIDE_BY_SIDE,
)
def import_orders(scope: HubScope = _EVERYTHING, dry_run: DryRun = False) -> ImportSummary:
    """Fetch, validate and import what waits: in order per store, stores side by side.

    A store that fails does not hold up the others; it is named at the end and the run fails. With
    `dry_run` batches are fetched and validated, and nothing is imported.
    """
    settings, began = load_settings(), datetime.now(UTC)
    done: list[ImportedBatch] = []
    checked: list[ImportedBatch] = []
    failures: dict[str, BaseException] = {}
    while waiting := still_waiting(steps.find_waiting(settings, scope.stores), texts(failures)):
        fetching = {
            store: steps.fetch_store.submit(settings, store, refs, dry_run=dry_run)
            for store, refs in waiting.items()
        }
        fetched = results(fetching, failures)
        finished = [batch for _, batches in fetched.values() for batch in batches]
        (checked if dry_run else done).extend(finished)
        ready: dict[str, list[BatchRef]] = {store: refs for store, (refs, _) in fetched.items() if refs}
        if ready:
            verdicts = steps.validate(settings, [ref for refs in ready.values() for ref in refs])
            checked += verdicts if dry_run else []
        if dry_run:
            break
        importing = {store: steps.import_store.submit(settings, store, refs) for store, refs in ready.items()}
        done += [batch for batches in results(importing, failures).values() for batch in batches]
    summary = ImportSummary(tuple(done), tuple(checked), texts(failures))
    reporting.show_import(summary)
    if done:
        came_from = sorted({batch.store for batch in done})
        events.imported(summary, steps.watch_stores(settings, came_from), since=began)
    raise_failures(failures)
    return summary
