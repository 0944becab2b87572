"""Turns what a run did into readable artifacts: what moved, what did not, why, and what to do about it.

Keys are per flow and store, so that the UI shows a store's history. No row values beyond ticket numbers,
sums and the quarantine's sentences; never a customer, a card or a credential.
"""

from flows.reporting.catalog import show_catalog, show_product_exports
from flows.reporting.hub import show_advance, show_cleaning, show_desk, show_import, show_receipt
from flows.reporting.reconciliation import show_reconciliation
from flows.reporting.store import show_export, show_products, show_resend, show_statement

__all__ = [
    "show_advance",
    "show_catalog",
    "show_cleaning",
    "show_desk",
    "show_export",
    "show_import",
    "show_product_exports",
    "show_products",
    "show_receipt",
    "show_reconciliation",
    "show_resend",
    "show_statement",
]
