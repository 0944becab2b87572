"""The quarantine as people read it: what waits, why, since when and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from tasks.hub.database import Hub
from tasks.hub.schema import documents, quarantine


@dataclass(frozen=True)
class QuarantineEntry:
    """A document that was not booked. Units and total in ten-thousandths, 0 where they cannot be read."""

    document: str
    store: str
    state: str
    """quarantined (needs a person) or pending (waits for another document)."""
    rule: str
    message: str
    fix: str
    units: int
    total: int
    business_date: str | None
    first_seen_utc: str
    batch: str


def open_entries(hub: Hub) -> list[QuarantineEntry]:
    """All open entries, oldest first."""
    q, d = quarantine.c, documents.c
    statement = (
        select(quarantine, d.state.label("standing"))
        .outerjoin(documents, d.document == q.document)
        .where(q.state == "open")
        .order_by(q.first_seen_utc, q.document)
    )
    with hub.reading() as connection:
        return [
            QuarantineEntry(
                row["document"],
                row["store"],
                "pending" if row["standing"] == "pending" else "quarantined",
                row["rule"],
                row["message"],
                row["fix"],
                row["units"] or 0,
                row["total"] or 0,
                row["business_date"],
                row["first_seen_utc"],
                row["batch"],
            )
            for row in connection.execute(statement).mappings()
        ]
