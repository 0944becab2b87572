"""export-products: products that changed to the stores' tills; first what the tills answered."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import flow

from data_contracts.parameters import DryRun, ProductScope
from flows import events, reporting
from flows.side_by_side import SIDE_BY_SIDE, raise_failures, texts, until_done
from tasks import steps
from tasks.settings import Settings, load_settings
from tasks.use_cases.exporting_products import ProductExports, together

_EVERYTHING = ProductScope()


@flow(
    name="export-products",
    flow_run_name="export-products-{scope.label}",
    persist_result=False,
    task_runner=SIDE_BY_SIDE,
)
def export_products(scope: ProductScope = _EVERYTHING, dry_run: DryRun = False) -> ProductExports:
    """Send each store what differs from what is at its till and on its way there.

    Runs at the hub, at any time and any number of times. A store that fails does not hold up the others; it
    is named at the end and the run fails. With `dry_run` it is worked out what would be sent.
    """
    settings = load_settings()
    failures: dict[str, BaseException] = {}
    report = export_side_by_side(
        settings, settings.chosen_stores(scope.stores), failures, retry=scope.retry, dry_run=dry_run
    )
    reporting.show_product_exports(report)
    events.products_published(report)
    raise_failures(failures)
    return report


def export_side_by_side(
    settings: Settings,
    stores: Sequence[str],
    failures: dict[str, BaseException],
    *,
    retry: bool = False,
    dry_run: bool = False,
) -> ProductExports:
    """The export to some stores from within a flow; what failed is put into `failures`."""
    found = until_done(
        stores,
        # What was refused is sent again once: a till that answers at once would make it an endless run.
        lambda store, first: steps.export_products.submit(settings, store, retry and first, dry_run),
        lambda store: bool(store.products) and not dry_run,
        failures,
    )
    return ProductExports(tuple(together(looks) for looks in found.values()), texts(failures), dry_run)
