"""clean-exchange: old batches and acknowledgements out of the exchange folder, by [retention]."""

from __future__ import annotations

from prefect import flow

from data_contracts.parameters import DryRun, HubScope
from flows import reporting
from flows.side_by_side import SIDE_BY_SIDE, raise_failures, results, texts
from tasks import steps
from tasks.settings import load_settings
from tasks.use_cases.cleaning import Cleaning

_EVERYTHING = HubScope()


@flow(
    name="clean-exchange",
    flow_run_name="clean-{scope.label}",
    persist_result=False,
    task_runner=SIDE_BY_SIDE,
)
def clean_exchange(scope: HubScope = _EVERYTHING, dry_run: DryRun = False) -> Cleaning:
    """Remove what the hub has taken in long ago and nobody needs any more; says what it keeps and why.

    Runs at the hub. Heads, baselines and the newest batch of each stream always stay. A store that fails
    does not hold up the others; it is named at the end and the run fails. With `dry_run` nothing is removed.
    """
    settings = load_settings()
    failures: dict[str, BaseException] = {}
    cleaning = {
        store: steps.clean_store.submit(settings, store, dry_run)
        for store in settings.chosen_stores(scope.stores)
    }
    report = Cleaning(tuple(results(cleaning, failures).values()), texts(failures), dry_run)
    reporting.show_cleaning(scope.label, report)
    raise_failures(failures)
    return report
