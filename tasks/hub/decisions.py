"""The log of what people decided about documents in quarantine, and how a revision stands by it.

Append-only and numbered without gaps per store, under the store's lock. Nothing is ever read from it but
through `Standing`: the edits that count, the rules that are waived, whether somebody has released it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select

from data_contracts.overlay import Cell, Edit, Rows, with_edits
from tasks import faults
from tasks.hub.bulk import fetch_for, load
from tasks.hub.schema import columns_of, quarantine_decisions

if TYPE_CHECKING:
    from tasks.hub.desk import Desk

faults.declare("hub.desk.decisions")

EDITED = "edited"
UNDONE = "edit_undone"
LAPSED = "edit_lapsed"
RELEASED = "released"
ACCEPTED = "accepted_rule"
DISCARDED = "discarded"

EVENTS = {
    EDITED: "quarantine_edited",
    UNDONE: "quarantine_edit_undone",
    LAPSED: "quarantine_edit_lapsed",
    RELEASED: "quarantine_released",
    ACCEPTED: "quarantine_rule_accepted",
    DISCARDED: "quarantine_discarded",
}
"""Action -> type of the event it leaves."""

THE_HUB = "tillbridge"
"""Who decides what no person decides: that an edit has lapsed."""

Key = tuple[str, str]
"""(document, revision)."""


@dataclass(frozen=True)
class Decision:
    """One row of the log."""

    number: int
    document: str
    revision: str
    action: str
    by: str
    why: str
    at_utc: str
    rule: str | None = None
    cell: Cell | None = None
    exported: str | None = None
    old: str | None = None
    new: str | None = None
    ends: int | None = None


@dataclass(frozen=True)
class Standing:
    """How a revision stands by what people decided."""

    edits: tuple[Edit, ...] = ()
    """Those that count, one a cell, in the order of the log."""
    waived: frozenset[str] = frozenset()
    approved: bool = False
    """Whether it was released since it was edited or discarded last."""
    discarded: Decision | None = None
    released: Decision | None = None
    """The last release, whether it was booked by that or not."""
    decisions: tuple[Decision, ...] = field(default=(), repr=False)

    @property
    def awaits_release(self) -> bool:
        """Whether it has edits that nobody has released."""
        return bool(self.edits) and not self.approved

    @property
    def flags(self) -> tuple[str, ...]:
        """What its order says of it."""
        return (*(["edited"] if self.edits else []), *(f"accepted_{rule}" for rule in sorted(self.waived)))

    def laid_over(self, rows: Rows) -> Rows:
        """The rows as they are to be judged and booked."""
        return with_edits(rows, self.edits, self.flags)


UNDECIDED = Standing()


def read_decisions(connection: Connection, documents: Collection[str]) -> dict[Key, list[Decision]]:
    """(document, revision) -> what was decided about it, oldest first."""
    if not documents or connection.execute(select(quarantine_decisions.c.number).limit(1)).first() is None:
        return {}
    found: dict[Key, list[Decision]] = {}
    rows = fetch_for(connection, quarantine_decisions, "document", documents)
    for row in sorted(rows, key=lambda row: (row["store"], row["number"])):
        cell = Cell(row["role"], row["row_name"], row["column_name"]) if row["role"] is not None else None
        found.setdefault((row["document"], row["revision"]), []).append(
            Decision(
                number=row["number"],
                document=row["document"],
                revision=row["revision"],
                action=row["action"],
                by=row["decided_by"],
                why=row["why"],
                at_utc=row["at_utc"],
                rule=row["rule"],
                cell=cell,
                exported=row["exported"],
                old=row["old"],
                new=row["new"],
                ends=row["ends"],
            )
        )
    return found


def read_standings(connection: Connection, documents: Collection[str]) -> dict[Key, Standing]:
    """(document, revision) -> how it stands, of those that anything was decided about."""
    return {key: standing_by(log) for key, log in read_decisions(connection, documents).items()}


def standing_by(log: Iterable[Decision]) -> Standing:
    """How a revision stands by its decisions, oldest first."""
    decisions = tuple(log)
    edits: dict[Cell, Edit] = {}
    for decision in decisions:
        if decision.cell is not None and decision.action in (UNDONE, LAPSED):
            edits.pop(decision.cell, None)  # an earlier edit of the cell does not come back
        elif decision.cell is not None:
            edits[decision.cell] = Edit(
                decision.cell,
                decision.exported or "",
                decision.new or "",
                decision.by,
                decision.why,
                decision.at_utc,
                decision.number,
            )
    put_aside = [d for d in decisions if d.action in (DISCARDED, RELEASED)]
    last_edit = max((d.number for d in decisions if d.action in (EDITED, UNDONE, DISCARDED)), default=0)
    released = max((d for d in decisions if d.action == RELEASED), key=lambda d: d.number, default=None)
    return Standing(
        edits=tuple(edits.values()),
        waived=frozenset(d.rule for d in decisions if d.action == ACCEPTED and d.rule is not None),
        approved=released is not None and released.number > last_edit,
        discarded=put_aside[-1] if put_aside and put_aside[-1].action == DISCARDED else None,
        released=released,
        decisions=decisions,
    )


def decide(desk: Desk, made: Iterable[Mapping[str, Any]]) -> None:
    """Write decisions into the log, each with its event. The caller holds the store's lock.

    A decision has `document`, `revision`, `action`, `by` and `why`; what else its kind needs has the names
    of the log's columns, a `cell` that of an edit.
    """
    decisions = list(made)
    if not decisions:
        return
    faults.point("hub.desk.decisions")
    c = quarantine_decisions.c
    first = desk.connection.execute(
        select(func.coalesce(func.max(c.number), 0)).where(c.store == desk.store)
    ).scalar_one()
    rows: list[tuple[Any, ...]] = []
    for number, decision in enumerate(decisions, start=int(first) + 1):
        cell: Cell | None = decision.get("cell")
        cells = dict(decision) | {
            "store": desk.store,
            "number": number,
            "role": cell.role if cell else None,
            "row_name": cell.row if cell else None,
            "column_name": cell.column if cell else None,
            "decided_by": decision["by"],
            "at_utc": desk.now,
        }
        rows.append(tuple(cells.get(name) for name in columns_of(quarantine_decisions)))
        told = {"cell": str(cell)} if cell else {"rule": decision["rule"]} if decision.get("rule") else {}
        desk.log.add(
            EVENTS[decision["action"]],
            document=decision["document"],
            revision=decision["revision"],
            by=decision["by"],
            why=decision["why"],
            **told,
        )
    load(desk.connection, quarantine_decisions, columns_of(quarantine_decisions), rows)
