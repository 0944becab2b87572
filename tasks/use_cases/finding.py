"""Finds an order by any number that a customer or a till may name: layaway, backorder or ticket number."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.hub import lookup
from tasks.hub.database import open_hub
from tasks.hub.lookup import FoundDocument, FoundOrder
from tasks.settings import Settings


@dataclass(frozen=True)
class FoundReport:
    """What the hub has of a number."""

    number: str
    store: str | None
    orders: tuple[FoundOrder, ...]
    documents: tuple[FoundDocument, ...]
    """Its tickets and orders that wait or were refused; an order that is found may have a newer one here."""

    @property
    def sentence(self) -> str:
        """The answer in one line."""
        where = f" in store {self.store}" if self.store is not None else ""
        if not self.orders and not self.documents:
            return f"No order has or had the number {self.number}{where}, and nothing of it waits."
        orders, documents = len(self.orders), len(self.documents)
        count = {0: "No order has", 1: "1 order has"}.get(orders, f"{orders} orders have")
        waits = f" Documents of it that are not booked: {documents}." if documents else ""
        return f"{count} or had the number {self.number}{where}.{waits}"


def find_order(settings: Settings, number: str, store: str | None = None) -> FoundReport:
    """Orders that have or had this number, and its documents that are not booked; of one store or of all.

    Raises `ConfigurationError` (a store that is not configured), `HubUnavailable`, `SchemaMismatch`.
    """
    if store is not None:
        settings.store(store)
    with open_hub(settings.hub_url) as hub:
        return FoundReport(
            number.strip(),
            store,
            tuple(lookup.find_orders(hub, number, store)),
            tuple(lookup.find_documents(hub, number, store)),
        )
