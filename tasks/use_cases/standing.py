"""Where every store stands, in one look: what `tillbridge status` shows, at the hub and at a store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from data_contracts.amounts import counted
from data_contracts.documents import STREAM_ORDERS
from data_contracts.errors import ContractBroken
from data_contracts.manifest import Reason
from tasks.exchange import batches
from tasks.exchange.folder import Folder, open_folder
from tasks.hub.database import open_hub
from tasks.hub.product_standing import till_standing
from tasks.hub.status import StoreStatus, hub_status
from tasks.settings import Settings
from tasks.use_cases.arrivals import find_waiting


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
    def lacking(self) -> tuple[Reason, ...]:
        """Batches that were rejected or never came and that nothing has replaced, and what to do."""
        return tuple(reason for store in self.stores for reason in store.hub.outstanding.reasons)

    @property
    def sentence(self) -> str:
        """One sentence on top of it all."""
        waiting = sum(store.batches_waiting for store in self.stores)
        people = sum(store.hub.quarantined for store in self.stores) + len(self.lacking)
        behind = "all is imported" if waiting == 0 else f"{waiting} batches wait to be imported"
        needs = "nothing needs a person" if people == 0 else f"waiting for a person: {people}"
        held = sum(store.held_back for store in self.stores)
        late = f" {counted(held, 'ticket')} held back by an open transaction in RMS." if held else ""
        return (
            f"{counted(len(self.stores), 'store')}, {behind}, {needs}; "
            f"{counted(self.shortfalls, 'stock level')} below zero.{self._orders}{late}{self._products}"
        )

    @property
    def _products(self) -> str:
        return f" Not yet at a till: {counted(self.not_at_till, 'product')}." if self.not_at_till else ""

    @property
    def _orders(self) -> str:
        layaways = sum(store.hub.layaways for store in self.stores)
        waiting = sum(store.hub.backorders_waiting for store in self.stores)
        expired = sum(store.hub.expired for store in self.stores)
        if not (layaways or waiting or expired):
            return ""
        return (
            f" Open: {counted(layaways, 'layaway')}; waiting for stock: {counted(waiting, 'backorder')}; "
            f"expired: {expired}."
        )


@dataclass(frozen=True)
class StoreSide:
    """Where a store stands as it can see itself: its RMS, the exchange folder and the hub's answers."""

    store: str
    last_looked_utc: str = ""
    """When its export last looked into RMS; empty if it never did."""
    newest_batch: int = 0
    """Sequence of the newest batch of tickets and orders; 0 for none."""
    answer: str = ""
    """What the hub answered to it: accepted or rejected; empty while it has not."""
    batches_waiting: int = 0
    """Batches of all streams that the hub has not taken in yet."""
    held_back: int = 0
    lacking: tuple[Reason, ...] = ()
    """What the hub said last that it lacks of this store's batches, and what to do."""


def show_standing(settings: Settings) -> Standing:
    """Read the state of all stores; raises `HubUnavailable`, `SchemaMismatch`, `TransferInterrupted`."""
    with open_hub(settings.hub_url) as hub:
        found = hub_status(hub)
        with hub.reading() as connection:
            tills = [till_standing(connection, settings, code) for code in sorted(settings.stores)]
    waiting = find_waiting(settings)  # gives its connection back before the next one is taken
    with open_folder(settings) as folder:
        stores = tuple(_store(folder, store, len(waiting.get(store.store, ()))) for store in found.stores)
    not_at_till = sum(till.not_at_till for till in tills)
    return Standing(stores, found.products, found.shortfalls, not_at_till)


def _store(folder: Folder, store: StoreStatus, waiting: int) -> StoreStanding:
    head = batches.newest_position(folder, store.store, STREAM_ORDERS)
    return StoreStanding(store, waiting, head.checked_utc if head else "", head.held_back if head else 0)


def hub_is_elsewhere(settings: Settings) -> bool:
    """Whether this is a store's machine: no hub is configured, and none lies where it would by default."""
    if "hub" in settings.model_fields_set:
        return False
    return not Path(settings.hub_url.removeprefix("sqlite:///")).exists()


def show_store_sides(settings: Settings, stores: Sequence[str] = ()) -> list[StoreSide]:
    """Read where stores (default: those with an RMS database here) stand, without a hub.

    Five files or listings a store, however many batches there are. Raises `TransferInterrupted`.
    """
    waiting = find_waiting(settings)
    codes = stores or [code for code, store in sorted(settings.stores.items()) if store.rms_url is not None]
    with open_folder(settings) as folder:
        return [_side(folder, code, len(waiting.get(code, ()))) for code in codes]


def _side(folder: Folder, store: str, waiting: int) -> StoreSide:
    head = batches.newest_position(folder, store, STREAM_ORDERS)
    if head is None:
        return StoreSide(store, batches_waiting=waiting)
    answer = None
    with suppress(ContractBroken):  # the next answer to it takes its place
        answer = batches.read_ack(folder, store, STREAM_ORDERS, head.sequence, head.batch_id)
    return StoreSide(
        store,
        last_looked_utc=head.checked_utc,
        newest_batch=head.sequence,
        answer="" if answer is None else answer.state,
        batches_waiting=waiting,
        held_back=head.held_back,
        lacking=lacking_of(folder, store),
    )


def lacking_of(folder: Folder, store: str) -> tuple[Reason, ...]:
    """What the hub said last that it lacks of a store's batches: one file to read."""
    told = batches.read_outstanding(folder, store)
    return () if told is None else told.entries


def show_lacking(settings: Settings, stores: Sequence[str]) -> list[Reason]:
    """`lacking_of` some stores."""
    with open_folder(settings) as folder:
        return [reason for store in stores for reason in lacking_of(folder, store)]
