"""What lies on the quarantine's desk of one document: its entry, its rows, what was decided. Reads only.

A document may have several revisions in quarantine; people work on the open one, else on the newest that was
discarded.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from data_contracts.documents import DocumentKey
from data_contracts.errors import DecisionRefused
from data_contracts.overlay import Rows
from tasks.hub.bulk import fetch_for
from tasks.hub.candidates import BY_CONTRACT
from tasks.hub.decisions import UNDECIDED, Standing, read_standings
from tasks.hub.schema import documents, quarantine

OPENING = "opening"
"""What stands for the source in the name of a line of opening stock."""


@dataclass(frozen=True)
class Paper:
    """A document on the desk."""

    document: str
    standing_of_document: str | None
    """accepted, quarantined, pending or discarded; None for opening stock."""
    entry: Mapping[str, Any] | None
    """Its row in quarantine that people work on; None if nothing of it waits."""
    standing: Standing

    @property
    def source(self) -> str:
        """ticket, order or opening."""
        return source_of(self.document)

    @property
    def key(self) -> tuple[str, str]:
        """(document, revision)."""
        assert self.entry is not None  # noqa: S101 - asked of entries only
        return self.document, str(self.entry["revision"])

    @property
    def by_contract(self) -> bool:
        """Whether it has to pass its contract before it is judged by anything else."""
        return self.entry is not None and self.entry["catalog"] == BY_CONTRACT

    @property
    def is_discarded(self) -> bool:
        """Whether a person has put it aside for good."""
        return self.entry is not None and self.entry["state"] == "discarded"

    @property
    def stamp(self) -> tuple[Any, ...]:
        """Changes whenever anything of it does."""
        entry = self.entry or {}
        names = ("revision", "sequence", "batch_id", "state", "catalog")
        decided = max((decision.number for decision in self.standing.decisions), default=0)
        return (self.standing_of_document, decided, *(entry.get(name) for name in names))

    def rows(self) -> Rows:
        """Its rows as exported."""
        assert self.entry is not None  # noqa: S101 - asked of entries only
        rows: Rows = json.loads(self.entry["rows"])
        return rows


def source_of(document: str) -> str:
    """ticket, order or opening."""
    return document.split("/")[2]


def check_name(document: str) -> str:
    """The name of a document as the hub writes it; `DecisionRefused` for anything else."""
    try:
        key = DocumentKey.parse(document.strip())
        if key.source in ("ticket", "order", OPENING) and key.store:
            return str(key)
    except (ValueError, TypeError):
        pass
    raise DecisionRefused(
        f"`{document[:60]}` is not the name of a document. Nothing was changed.",
        next_step="name it as `tillbridge quarantine list` does: S1/1/ticket/10452",
    )


def read_papers(connection: Connection, names: Collection[str]) -> dict[str, Paper]:
    """What lies on the desk of these documents; `DecisionRefused` names those the hub knows nothing of."""
    known = {row["document"]: row for row in fetch_for(connection, documents, "document", names)}
    entries: dict[str, list[dict[str, Any]]] = {}
    for row in fetch_for(connection, quarantine, "document", names):
        entries.setdefault(row["document"], []).append(row)
    unknown = [name for name in names if name not in known and name not in entries]
    if unknown:
        raise DecisionRefused(
            f"The hub knows nothing of {', '.join(unknown[:5])}. Nothing was changed.",
            next_step="see what waits: `tillbridge quarantine list`",
        )
    standings = read_standings(connection, names)
    papers: dict[str, Paper] = {}
    for name in names:
        entry = _worked_on(known.get(name), entries.get(name, []))
        standing = standings.get((name, entry["revision"]), UNDECIDED) if entry else UNDECIDED
        state = known[name]["state"] if name in known else None
        papers[name] = Paper(name, state, entry, standing)
    return papers


def _worked_on(
    document: Mapping[str, Any] | None, entries: Collection[dict[str, Any]]
) -> dict[str, Any] | None:
    def newness(row: Mapping[str, Any]) -> tuple[int, str]:
        return int(row["sequence"]), str(row["batch_id"])

    for state in ("open", "discarded"):
        found = [entry for entry in entries if entry["state"] == state]
        if document is not None and document["state"] == "accepted":
            found = [entry for entry in found if newness(entry) > newness(document)]
        if found:
            return max(found, key=newness)
    return None
