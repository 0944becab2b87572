"""Where every store stands, in one look: what `tillbridge status` shows."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.exchange import batches
from tasks.exchange.folder import Folder, open_folder
from tasks.hub.database import open_hub
from tasks.hub.product_standing import till_standing
from tasks.hub.status import HubStatus, StoreStatus, hub_status
from tasks.settings import Settings
from tasks.use_cases.importing import find_waiting


@dataclass(frozen=True)
class StoreStanding:
    """A store in the hub and in the exchange folder."""

    hub: StoreStatus
    batches_waiting: int
    last_looked_utc: str
    """When the store's export last looked into RMS; empty if it never did."""
    held_back: int = 0
    """Tickets it could not read yet because a transaction was open in RMS."""


@dataclass(frozen=True)
class Standing:
    """The whole installation."""

    stores: tuple[StoreStanding, ...]
    products: int
    shortfalls: int
    """Levels below zero: more was sold than the hub knew of."""
    not_at_till: int = 0
    """Products of which a till that gets products does not show what the hub says, of all stores."""

    @property
    def sentence(self) -> str:
        """One sentence on top of it all."""
        waiting = sum(store.batches_waiting for store in self.stores)
        people = sum(store.hub.quarantined + store.hub.rejected_batches for store in self.stores)
        behind = "all is imported" if waiting == 0 else f"{waiting} batches wait to be imported"
        needs = "nothing needs a person" if people == 0 else f"waiting for a person: {people}"
        held = sum(store.held_back for store in self.stores)
        late = f" {held} tickets are held back by an open transaction in RMS." if held else ""
        return (
            f"{len(self.stores)} stores, {behind}, {needs}; {self.shortfalls} stock levels below zero."
            f"{self._orders}{late}{self._products}"
        )

    @property
    def _products(self) -> str:
        return f" {self.not_at_till} products are not yet at a till." if self.not_at_till else ""

    @property
    def _orders(self) -> str:
        layaways = sum(store.hub.layaways for store in self.stores)
        waiting = sum(store.hub.backorders_waiting for store in self.stores)
        expired = sum(store.hub.expired for store in self.stores)
        if not (layaways or waiting or expired):
            return ""
        return f" {layaways} layaways are open, {waiting} backorders wait for stock, {expired} have expired."


def show_standing(settings: Settings) -> Standing:
    """Read the state of all stores; raises `HubUnavailable`, `SchemaMismatch`, `TransferInterrupted`."""
    with open_hub(settings.hub_url) as hub:
        found = hub_status(hub)
        with hub.reading() as connection:
            tills = [till_standing(connection, settings, code) for code in sorted(settings.stores)]
    with open_folder(settings) as folder:
        return _standing(settings, folder, found, sum(till.not_at_till for till in tills))


def _standing(settings: Settings, folder: Folder, found: HubStatus, not_at_till: int) -> Standing:
    waiting = find_waiting(settings)
    stores = []
    for store in found.stores:
        head = batches.newest_position(folder, store.store, "orders")
        stores.append(
            StoreStanding(
                store,
                len(waiting.get(store.store, ())),
                head.checked_utc if head else "",
                head.held_back if head else 0,
            )
        )
    return Standing(tuple(stores), found.products, found.shortfalls, not_at_till)
