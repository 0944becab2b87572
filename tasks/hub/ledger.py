"""The stock ledger and the payments: only differences are appended, nothing is ever changed.

Movements are kept per document and posting; levels stand beside them and are written once per
transaction, in (warehouse, SKU) order, so that two stores never wait for each other in a ring.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from sqlalchemy import func, select

from data_contracts.posting import DELTAS, MOVEMENT, differences
from data_contracts.statuses import PaymentMethod, PaymentType
from tasks import faults
from tasks.hub.bulk import load, stage_keys
from tasks.hub.desk import Desk
from tasks.hub.levels import add_to_levels
from tasks.hub.schema import payments, stock_movements

log = logging.getLogger(__name__)

CLEARED = 0
"""Status of a payment record."""

MOVEMENT_COLUMNS = (
    "origin",
    "posting",
    "line",
    "cause",
    "warehouse",
    "sku",
    "physical_delta",
    "reserved_delta",
    "warehouse_rule",
    "store",
    "document",
    "order_id",
    "batch",
    "at_utc",
)

faults.declare("hub.ledger.movements", "hub.ledger.payments")


def posted_movements(desk: Desk, documents: Iterable[str]) -> pd.DataFrame:
    """What the ledger shows of these documents now: MOVEMENT and DELTAS."""
    wanted = set(documents)
    rows: list[tuple[Any, ...]] = []
    if wanted:
        m = stock_movements.c
        staged = stage_keys(desk.connection, "staged_posted", wanted)
        query = (
            select(
                *(m.origin, m.line, m.warehouse, m.sku),
                *(func.sum(m.physical_delta), func.sum(m.reserved_delta)),
            )
            .join(staged, staged.c.key == m.origin)
            .group_by(m.origin, m.line, m.warehouse, m.sku)
        )
        rows = [tuple(row) for row in desk.connection.execute(query)]
    frame = pd.DataFrame(rows, columns=[*MOVEMENT, *DELTAS])
    return frame.astype({"document": "str", "warehouse": "str", "sku": "str"})


def post_movements(
    desk: Desk, desired: pd.DataFrame, posted: pd.DataFrame, posting: Mapping[str, Mapping[str, Any]]
) -> None:
    """Append what is missing between `posted` and `desired`.

    `posting` gives `posting`, `kind`, `occurred_at` and `order_id` of every document.
    """
    change = differences(desired, posted)
    rows: list[tuple[Any, ...]] = []
    columns = (*MOVEMENT, *DELTAS, "rule")
    for document, line, warehouse, sku, physical, reserved, rule in zip(
        *(change[name].tolist() for name in columns), strict=True
    ):
        of = posting[document]
        rows.append(
            (
                document,
                of["posting"],
                line,
                of["kind"],
                warehouse,
                sku,
                physical,
                reserved,
                rule,
                desk.store,
                document,
                of["order_id"],
                desk.batch,
                of["occurred_at"],
            )
        )
        note_level(desk, warehouse, sku, physical, reserved)
    faults.point("hub.ledger.movements")
    load(desk.connection, stock_movements, MOVEMENT_COLUMNS, rows)


def post_payments(
    desk: Desk, desired: Mapping[str, int], posting: Mapping[str, Mapping[str, Any]], revised: Iterable[str]
) -> None:
    """Append cash payments so that each document's payments come to `desired`."""
    paid: dict[str, int] = {}
    again = set(revised)
    if again:
        staged = stage_keys(desk.connection, "staged_paid", again)
        query = (
            select(payments.c.document, func.sum(payments.c.amount))
            .join(staged, staged.c.key == payments.c.document)
            .group_by(payments.c.document)
        )
        paid = {row[0]: row[1] for row in desk.connection.execute(query)}
    rows: list[tuple[Any, ...]] = []
    for document, amount in desired.items():
        missing = amount - paid.get(document, 0)
        if missing:
            kind = PaymentType.Payment if missing > 0 else PaymentType.Refund
            of = posting[document]
            rows.append(
                (
                    of["order_id"],
                    document,
                    of["posting"],
                    int(PaymentMethod.Cash),
                    int(kind),
                    CLEARED,
                    missing,
                    of["occurred_at"],
                )
            )
    faults.point("hub.ledger.payments")
    columns = ("order_id", "document", "posting", "method", "type", "status", "amount", "at_utc")
    load(desk.connection, payments, columns, rows)


def paid_by_target(desk: Desk, documents: Sequence[str]) -> dict[str, int]:
    """What was paid by each of these documents."""
    if not documents:
        return {}
    staged = stage_keys(desk.connection, "staged_targets", documents)
    query = (
        select(payments.c.document, func.sum(payments.c.amount))
        .join(staged, staged.c.key == payments.c.document)
        .group_by(payments.c.document)
    )
    paid = {row[0]: row[1] for row in desk.connection.execute(query)}
    return {document: paid.get(document, 0) for document in documents}


def note_level(desk: Desk, warehouse: str, sku: str, physical: int, reserved: int = 0) -> None:
    """Remember a change of a level until `write_levels`."""
    before = desk.levels.get((warehouse, sku), (0, 0))
    desk.levels[warehouse, sku] = (before[0] + physical, before[1] + reserved)


def write_levels(desk: Desk) -> None:
    """Apply the noted changes to the levels; an event for each, and one for each shortfall they cause."""
    changes = dict(desk.levels)
    desk.levels.clear()
    add_to_levels(desk.connection, changes, desk.log)
