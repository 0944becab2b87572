"""Stock levels beside the ledger: what a transaction changed is added to them at once, and told.

Levels are always written in (warehouse, SKU) order, so that two writers never wait for each other in a ring.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, Connection, Text, select
from sqlalchemy.types import TypeEngine

from data_contracts.amounts import format_amount
from tasks import faults
from tasks.hub.bulk import stage, upsert
from tasks.hub.events import EventLog
from tasks.hub.schema import stock_levels

Place = tuple[str, str]
"""A warehouse and a SKU."""
Changes = Mapping[Place, tuple[int, int]]
"""Place -> physical and reserved units to add."""

faults.declare("hub.ledger.levels")


def add_to_levels(connection: Connection, changes: Changes, log: EventLog) -> None:
    """Apply the changes; an event for each, and one for each shortfall they cause."""
    # A change of 0 still writes its row: which levels exist must not depend on how batches were cut.
    ordered = sorted(changes.items())
    if not ordered:
        return
    faults.point("hub.ledger.levels")
    upsert(
        connection,
        stock_levels,
        ("warehouse", "sku", "physical", "reserved"),
        [(*place, *deltas) for place, deltas in ordered],
        update=(),
        add=("physical", "reserved"),
    )
    levels = read_levels(connection, [place for place, _ in ordered])
    for (warehouse, sku), (moved, held) in ordered:
        if not (moved or held):
            continue
        physical, reserved = levels[warehouse, sku]
        figures = {
            "physical": format_amount(physical),
            "reserved": format_amount(reserved),
            "physical_delta": format_amount(moved),
            "reserved_delta": format_amount(held),
        }
        log.add("level_changed", warehouse=warehouse, sku=sku, **figures)
        # Only a change for the worse falls short: a pick-up takes what was held for it.
        if (moved < 0 and physical < 0) or (moved < held and physical < reserved):
            log.add("stock_shortfall", warehouse=warehouse, sku=sku, **figures)


def read_levels(
    connection: Connection, places: list[Place], *, hold: bool = False
) -> dict[Place, tuple[int, int]]:
    """Place -> physical and reserved units now; places without a level are left out.

    With `hold` no other transaction changes these levels until this one ends.
    """
    s = stock_levels.c
    ranked = [(at, *place) for at, place in enumerate(sorted(set(places)))]
    columns: dict[str, TypeEngine[Any]] = {"ordinal": BigInteger(), "warehouse": Text(), "sku": Text()}
    staged = stage(connection, "staged_levels", columns, ranked)
    query = (
        select(s.warehouse, s.sku, s.physical, s.reserved)
        .join(staged, (staged.c.warehouse == s.warehouse) & (staged.c.sku == s.sku))
        .order_by(staged.c.ordinal)
    )
    if hold:
        query = query.with_for_update(of=stock_levels)
    return {(w, sku): (physical, reserved) for w, sku, physical, reserved in connection.execute(query)}
