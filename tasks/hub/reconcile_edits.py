"""What edits make a ticket differ from what the store states of it. Reads only.

A store states its tickets as they stand in RMS; the hub has them with the edits that were laid over. The
difference is worked out from the rows as exported, so that it is explained to the cent and never absorbed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Connection, Subquery, select

from data_contracts.amounts import parse_amount
from data_contracts.reconciling import EditedDocument, Figures
from tasks.hub.bulk import fetch_for
from tasks.hub.decisions import EDITED, Standing, read_standings
from tasks.hub.schema import quarantine, quarantine_decisions, tenders

Day = tuple[str, int]
"""Business date and Z batch."""

FIGURES = {"lines": "line_count", "units": "units", "tax": "tax", "total": "total"}
"""Figure of a revision -> its column in the header as exported."""


@dataclass
class Edited:
    """What was exported beyond what the hub has, per day and per tender; and the documents by name."""

    days: dict[Day, Figures] = field(default_factory=lambda: defaultdict(Figures))
    tenders: dict[tuple[str, int, str], int] = field(default_factory=lambda: defaultdict(int))
    documents: list[EditedDocument] = field(default_factory=list)


def explain_edits(
    connection: Connection, store: str, seen: Subquery, first: str | None, stated: Callable[[int, int], bool]
) -> Edited:
    """The edits among the tickets of `seen` that the statement covers, from the date `first` on.

    `stated` tells whether the store counts a ticket (epoch, number) in its days.
    """
    found = Edited()
    standings = _edited(connection, store)
    if not standings or first is None:
        return found
    names = {document for document, _ in standings}
    exported = {
        (row["document"], row["revision"]): json.loads(row["rows"])
        for row in fetch_for(connection, quarantine, "document", names)
    }
    paid: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in fetch_for(connection, tenders, "document", names):
        paid[row["document"], row["revision"]].append(row)
    s = seen.c
    query = select(seen).where(s.document.in_(sorted(names))).order_by(s.document)
    for ours in connection.execute(query).mappings():
        key = (ours["document"], ours["revision"])
        if key not in standings or key not in exported or not stated(ours["epoch"], ours["number"]):
            continue
        _compare(found, dict(ours), exported[key], paid[key], standings[key], first)
    return found


def _edited(connection: Connection, store: str) -> dict[tuple[str, str], Standing]:
    c = quarantine_decisions.c
    query = select(c.document).where(c.store == store, c.action == EDITED).distinct()
    standings = read_standings(connection, set(connection.execute(query).scalars()))
    return {key: standing for key, standing in standings.items() if standing.edits}


def _compare(
    found: Edited,
    ours: Mapping[str, Any],
    exported: Mapping[str, list[dict[str, str]]],
    paid: list[dict[str, Any]],
    standing: Standing,
    first: str,
) -> None:
    header = exported["tickets"][0]
    here = (str(ours["business_date"]), int(ours["z_batch"] or 0))
    there = (_read(_date, header["business_date"], here[0]), _read(int, header["z_batch"], here[1]))
    figures = Figures(1, **{name: int(ours[name] or 0) for name in FIGURES})
    stated = Figures(
        1,
        **{
            name: _read(int if name == "lines" else parse_amount, header[column], getattr(figures, name))
            for name, column in FIGURES.items()
        },
    )
    by_tender: dict[tuple[str, int, str], int] = defaultdict(int)
    amounts = {str(row["entry_id"]): int(row["amount"]) for row in paid}
    for tender in exported["tenders"]:
        amount = _read(parse_amount, tender["amount"], amounts.get(tender["entry_id"], 0))
        by_tender[(*there, tender["tender_code"])] += amount
    for row in paid:
        by_tender[(*here, row["tender_code"])] -= row["amount"]
    if there[0] >= first:
        found.days[there] = found.days[there] + stated
    if here[0] >= first:
        found.days[here] = found.days[here] - figures
    for key, amount in by_tender.items():
        if key[0] >= first:
            found.tenders[key] += amount
    if figures == stated and here == there and not any(by_tender.values()):
        return
    last = standing.edits[-1]
    found.documents.append(
        EditedDocument(
            document=str(ours["document"]),
            by=last.by,
            at_utc=last.at_utc,
            why=last.why,
            apart=figures - stated,
            day=here,
            stated_day=there,
            tenders=tuple((key[2], -amount) for key, amount in sorted(by_tender.items()) if amount),
        )
    )


def _date(text: str) -> str:
    return date.fromisoformat(text).isoformat()


def _read(read: Callable[[str], Any], text: str, ours: Any) -> Any:
    """What was exported; what the hub has where that cannot be read: nobody can say what is apart then."""
    try:
        return read(text)
    except ValueError:
        return ours
