"""import-catalog: products from a file into the hub, and what has changed on to the stores' tills."""

from __future__ import annotations

from prefect import flow
from prefect.logging import get_run_logger

from data_contracts.errors import FinalError
from data_contracts.parameters import CatalogScope, DryRun
from flows import events, reporting
from flows.export_products import export_side_by_side
from flows.side_by_side import SIDE_BY_SIDE, raise_failures
from tasks import steps
from tasks.hub.products import CatalogOutcome
from tasks.settings import load_settings

_CONFIGURED = CatalogScope()


@flow(
    name="import-catalog",
    flow_run_name="import-{scope.label}",
    persist_result=False,
    task_runner=SIDE_BY_SIDE,
)
def import_catalog(scope: CatalogScope = _CONFIGURED, dry_run: DryRun = False) -> CatalogOutcome | None:
    """Take new and changed products into the hub, then send them to the stores.

    Runs at the hub. Tickets that waited for one of the products leave the quarantine. A product that fails
    its contract is left out and named; a file of which too much fails is refused, and the run fails. By
    schedule it takes `file` of [catalog]; where none is set there is nothing to do. With `dry_run` the file
    is checked, and nothing is written.
    """
    settings = load_settings()
    if not (scope.file or settings.catalog.file):
        get_run_logger().info("no catalogue file is set in [catalog] of tillbridge.toml")
        return None
    outcome = steps.import_catalog(settings, scope, dry_run)
    reporting.show_catalog(outcome)
    events.catalog_changed(outcome)
    if outcome.rejected:
        raise FinalError(outcome.reasons[0].message, next_step=outcome.reasons[0].fix)
    if outcome.moved and scope.export and not dry_run:
        failures: dict[str, BaseException] = {}
        report = export_side_by_side(settings, settings.chosen_stores(), failures)
        reporting.show_product_exports(report)
        events.products_published(report)
        raise_failures(failures)
    return outcome
