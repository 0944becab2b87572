"""apply-products: products that the hub has sent, into a store's RMS."""

from __future__ import annotations

from prefect import flow

from data_contracts.parameters import DryRun, StoreScope
from flows import reporting
from tasks import steps
from tasks.settings import load_settings
from tasks.use_cases.applying_products import ProductsReport


@flow(name="apply-products", flow_run_name="apply-products-{scope.store}", persist_result=False)
def apply_products(scope: StoreScope, dry_run: DryRun = False) -> ProductsReport:
    """Write new and changed products into the store's items and answer for each.

    Runs where the store's database is. Safe at any time and any number of times: what is written already
    is left alone. With `dry_run` it says what it would write and answers nothing.
    """
    report = steps.apply_products(load_settings(), scope, dry_run)
    reporting.show_products(report)
    return report
