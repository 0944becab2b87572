"""What one transaction on one store works with: rules, history, clock, and what it has noted so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from data_contracts.amounts import from_decimal
from data_contracts.codes import RmsCodes
from data_contracts.documents import ORDER, TICKET, DocumentKey
from data_contracts.errors import ConfigurationError, NotYetArrived
from data_contracts.manifest import EpochStart
from data_contracts.posting import Rules, in_ranges
from tasks.hub.epochs import read_epochs
from tasks.hub.events import EventLog
from tasks.hub.known_products import catalog_version, find_products
from tasks.hub.registry import Placement, placement
from tasks.hub.schema import history_ranges, stores
from tasks.settings import Settings


@dataclass
class Desk:
    """One store, one transaction, its lock held."""

    connection: Connection
    store: str
    company: str
    channel: str
    customer: str
    customer_name: str
    rules: Rules
    placement: Placement
    epochs: tuple[EpochStart, ...]
    history: tuple[tuple[int, int], ...]
    catalog: int
    time_zone: str
    release_on_expiry: bool
    now: str
    batch: str | None
    log: EventLog
    levels: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """(warehouse, SKU) -> physical and reserved change of this transaction; written once, at its end."""

    def recalled(self, epoch: int, number: int) -> str:
        """The document of a ticket number that a ticket of `epoch` recalls."""
        fitting = [e.epoch for e in self.epochs if e.epoch <= epoch and number > e.after_number]
        return str(DocumentKey(self.store, max(fitting, default=epoch), TICKET, number))

    def recalled_order(self, epoch: int, number: int) -> str:
        """The document of an order number that a ticket of `epoch` picks up."""
        fitting = [e.epoch for e in self.epochs if e.epoch <= epoch and number > e.after_order]
        return str(DocumentKey(self.store, max(fitting, default=epoch), ORDER, number))

    def is_history(self, number: int) -> bool:
        """Whether RMS held that ticket number before the baseline."""
        return in_ranges(number, self.history)

    def products(self, skus: Iterable[str]) -> dict[str, str]:
        """`find_products` by the rules of this store."""
        return find_products(self.connection, skus, ignore_case=self.rules.ignore_case)


def open_desk(
    connection: Connection, settings: Settings, store: str, *, now: str, batch: str | None, baselined: bool
) -> Desk:
    """The desk of a store whose lock the caller holds.

    With `baselined`, `NotYetArrived` if the store's baseline is not in the hub yet.
    """
    row = connection.execute(select(stores).where(stores.c.code == store)).mappings().one()
    if baselined and row["baseline"] is None:
        raise NotYetArrived(
            f"Store {store} has no baseline in the hub, so {batch or 'its quarantine'} cannot be booked yet. "
            "Nothing was changed; it waits.",
            next_step=f"run `tillbridge baseline {store}` at the store, then import again",
            store=store,
        )
    codes = settings.store(store).codes
    ranges = connection.execute(
        select(history_ranges.c.first_number, history_ranges.c.last_number).where(
            history_ranges.c.store == store, history_ranges.c.source == TICKET
        )
    )
    try:
        tolerance = from_decimal(settings.hub.tolerance_per_line)
    except ValueError as error:
        raise ConfigurationError(
            "The rounding tolerance cannot be read.",
            next_step="correct `tolerance_per_line` in [hub] of tillbridge.toml",
        ) from error
    return Desk(
        connection=connection,
        store=store,
        company=row["company"],
        channel=row["channel"],
        customer=row["customer"],
        customer_name=row["customer_name"],
        rules=Rules(
            RmsCodes(**codes.model_dump()),
            tolerance,
            settings.hub.skus_ignore_case,
        ),
        placement=placement(connection, store),
        epochs=read_epochs(row["epochs"]),
        history=tuple((int(first), int(last)) for first, last in ranges),
        catalog=catalog_version(connection),
        time_zone=row["time_zone"],
        release_on_expiry=settings.store(store).release_on_expiry,
        now=now,
        batch=batch,
        log=EventLog(store, now, batch),
    )
