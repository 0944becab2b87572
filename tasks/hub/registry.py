"""What the hub knows about stores and warehouses: written from the settings, read by every import."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from data_contracts.errors import ConfigurationError
from data_contracts.statuses import Channel
from tasks import faults
from tasks.hub.database import Hub, lock_table
from tasks.hub.schema import channel_warehouses, stores, warehouses
from tasks.settings import Settings

log = logging.getLogger(__name__)

CHANNEL = Channel.RMS.name

faults.declare("hub.configure.before_commit", "hub.configure.after_commit")


@dataclass(frozen=True)
class Placement:
    """Where a store's goods leave from and come back to, and the rule that says so."""

    warehouse: str
    rule: str
    returns_to: str
    returns_rule: str


def configure(hub: Hub, settings: Settings) -> bool:
    """Write stores, warehouses and mappings of the settings; True if anything changed.

    Idempotent. Stores and warehouses no longer configured stay, with their history. Raises
    `ConfigurationError` for a mapping given twice or to an unknown warehouse.
    """
    wanted_stores = _stores(settings)
    wanted_warehouses = _warehouses(settings)
    wanted_mappings = _mappings(settings, set(wanted_warehouses))
    with hub.reading() as connection:
        if _stands(_known(connection), wanted_stores, wanted_warehouses, wanted_mappings):
            return False
    with hub.writing("hub.configure.before_commit", "hub.configure.after_commit") as connection:
        lock_table(connection, channel_warehouses)
        known_stores, known_warehouses, _ = _known(connection)
        for code, values in sorted(wanted_stores.items()):
            if code in known_stores:
                connection.execute(update(stores).where(stores.c.code == code).values(**values))
            else:
                connection.execute(insert(stores).values(code=code, **values, **_NEW))
        for code, place in sorted(wanted_warehouses.items()):
            if code in known_warehouses:
                connection.execute(update(warehouses).where(warehouses.c.code == code).values(**place))
            else:
                connection.execute(insert(warehouses).values(code=code, **place))
        # There is one default: what was it before and is configured no longer keeps its stock, not its role.
        connection.execute(
            update(warehouses)
            .where(warehouses.c.is_default, warehouses.c.code.not_in(wanted_warehouses))
            .values(is_default=False)
        )
        connection.execute(delete(channel_warehouses))
        for (company, channel, store), warehouse in sorted(wanted_mappings.items()):
            connection.execute(
                insert(channel_warehouses).values(
                    company=company, channel=channel, store=store, warehouse=warehouse
                )
            )
    log.info("configured %d stores and %d warehouses in the hub", len(wanted_stores), len(wanted_warehouses))
    return True


def placement(connection: Connection, store: str) -> Placement:
    """Where goods of a store go: its own mapping, else the channel's, else the default warehouse."""
    row = connection.execute(
        select(stores.c.company, stores.c.channel, stores.c.returns_warehouse).where(stores.c.code == store)
    ).one()
    found = {
        entry.store: entry.warehouse
        for entry in connection.execute(
            select(channel_warehouses.c.store, channel_warehouses.c.warehouse).where(
                channel_warehouses.c.company == row.company, channel_warehouses.c.channel == row.channel
            )
        )
    }
    if store in found:
        warehouse, rule = found[store], "store mapping"
    elif "" in found:
        warehouse, rule = found[""], "channel mapping"
    else:
        default = select(warehouses.c.code).where(warehouses.c.is_default)
        warehouse, rule = connection.execute(default).scalar_one(), "default warehouse"
    if row.returns_warehouse is not None:
        return Placement(warehouse, rule, row.returns_warehouse, "returns warehouse")
    return Placement(warehouse, rule, warehouse, rule)


def is_baselined(connection: Connection, store: str) -> bool:
    """Whether the store's baseline is in the hub."""
    found = select(stores.c.baseline).where(stores.c.code == store)
    return connection.execute(found).scalar_one_or_none() is not None


_NEW = {
    "epochs": "[[1, 0, 0]]",
    "start_rowversion": 0,
    "start_number": 0,
    "start_history_entry": 0,
    "next_event": 1,
}
"""What a store begins with until its baseline is in the hub."""

_Stores = dict[str, dict[str, str | None]]
_Warehouses = dict[str, dict[str, str | bool]]
_Mappings = dict[tuple[str, str, str], str]


def _stores(settings: Settings) -> _Stores:
    return {
        code: {
            "company": settings.hub.company,
            "channel": CHANNEL,
            "time_zone": store.time_zone,
            "returns_warehouse": store.returns_warehouse,
            "customer": settings.hub.walk_in_email,
            "customer_name": settings.hub.walk_in_name,
        }
        for code, store in settings.stores.items()
    }


def _warehouses(settings: Settings) -> _Warehouses:
    default = settings.hub.default_warehouse
    found: _Warehouses = {default: {"name": default, "is_default": True, "is_sellable": True}}
    for code, warehouse in settings.warehouses.items():
        found[code] = {
            "name": warehouse.name or code,
            "is_default": code == default,
            "is_sellable": warehouse.sellable,
        }
    return found


def _mappings(settings: Settings, known: set[str]) -> _Mappings:
    found: _Mappings = {}
    for entry in settings.mappings():
        key = (entry.company, entry.channel, entry.store or "")
        place = f"company `{entry.company}`, channel `{entry.channel}`, store `{entry.store or 'any'}`"
        if entry.warehouse not in known:
            raise ConfigurationError(
                f"The mapping of {place} names the unknown warehouse `{entry.warehouse}`.",
                next_step=f"add [warehouses.{entry.warehouse}] to tillbridge.toml or correct the mapping",
            )
        if found.setdefault(key, entry.warehouse) != entry.warehouse:
            raise ConfigurationError(
                f"The mapping of {place} is given twice: to `{found[key]}` and to `{entry.warehouse}`.",
                next_step="remove one of them from tillbridge.toml",
            )
    return found


def _stands(
    known: tuple[_Stores, _Warehouses, _Mappings],
    wanted_stores: _Stores,
    wanted_warehouses: _Warehouses,
    wanted_mappings: _Mappings,
) -> bool:
    """Whether the hub says what the settings say; what it knows besides is history."""
    known_stores, known_warehouses, mappings = known
    return (
        all(known_stores.get(code) == values for code, values in wanted_stores.items())
        and all(known_warehouses.get(code) == place for code, place in wanted_warehouses.items())
        and not any(
            place["is_default"] for code, place in known_warehouses.items() if code not in wanted_warehouses
        )
        and mappings == wanted_mappings
    )


def _known(connection: Connection) -> tuple[_Stores, _Warehouses, _Mappings]:
    columns = [stores.c[name] for name in ("code", "company", "channel", "time_zone", "returns_warehouse")]
    rows = connection.execute(select(*columns, stores.c.customer, stores.c.customer_name)).mappings()
    known_stores = {row["code"]: {k: v for k, v in row.items() if k != "code"} for row in rows}
    places = connection.execute(select(warehouses)).mappings()
    known_warehouses = {row["code"]: {k: v for k, v in row.items() if k != "code"} for row in places}
    entries = connection.execute(select(channel_warehouses))
    mappings = {(entry.company, entry.channel, entry.store): entry.warehouse for entry in entries}
    return known_stores, known_warehouses, mappings
