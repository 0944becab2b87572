"""Takes in what a store says it has; `tasks.hub.reconcile` compares it with the hub."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from data_contracts.documents import FILES, STREAM_STATEMENT
from data_contracts.errors import ContractBroken
from data_contracts.frames import typed
from data_contracts.manifest import Manifest
from tasks import faults
from tasks.hub.bulk import insert_one, load
from tasks.hub.desk import Desk
from tasks.hub.inbox import BatchOutcome
from tasks.hub.schema import (
    statement_days,
    statement_deposits,
    statement_numbers,
    statement_open_orders,
    statement_tenders,
    statements,
)

TABLES = {
    "days": statement_days,
    "day_tenders": statement_tenders,
    "numbers": statement_numbers,
    "deposits": statement_deposits,
    "open_orders": statement_open_orders,
}

faults.declare("hub.statement.rows")


def take_statement(desk: Desk, manifest: Manifest, rows: Mapping[str, pd.DataFrame]) -> BatchOutcome:
    """Keep a statement under its batch; every statement stays, the newest one counts."""
    faults.point("hub.statement.rows")
    insert_one(
        desk.connection,
        statements,
        batch=manifest.path,
        store=manifest.store,
        sequence=manifest.sequence,
        batch_id=manifest.batch_id,
        bound=manifest.bound,
        created_utc=manifest.created_utc,
    )
    for role, columns in FILES[STREAM_STATEMENT].items():
        frame, wrong = typed(rows[role], columns)
        if len(wrong):
            raise ContractBroken(
                f"{manifest.path} holds cells in `{role}` that its verdict did not name. Nothing was "
                "imported; retrying cannot clear this.",
                next_step="validate the batch again",
                batch=manifest.path,
            )
        table = TABLES[role]
        names = [column.name for column in table.columns if column.name != "batch"]
        cells = zip(*(frame[name].tolist() for name in names), strict=True)
        load(desk.connection, table, ("batch", *names), [(manifest.path, *row) for row in cells])
    return BatchOutcome("accepted", documents=manifest.documents)
