"""The quarantine as people read it: what waits, why, since when, what to do; one document with its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, select

from data_contracts.documents import FILES, KEY, STREAM_ORDERS
from data_contracts.waiting import WAITING_RULES
from tasks.hub.database import Hub
from tasks.hub.inbox import utc_now
from tasks.hub.schema import documents, quarantine

if TYPE_CHECKING:
    from tasks.hub.decisions import Decision, Standing
    from tasks.hub.papers import Paper

CLOSED_DAYS = 14
"""How long what was closed is still listed, if one asks for it."""


@dataclass(frozen=True)
class QuarantineEntry:
    """A document that was not booked. Units and total in ten-thousandths, 0 where they cannot be read."""

    document: str
    store: str
    state: str
    """quarantined (needs a person) or pending (waits for another document); of closed ones cleared,
    released, discarded or superseded."""
    rule: str
    message: str
    fix: str
    units: int
    total: int
    business_date: str | None
    first_seen_utc: str
    batch: str
    age_hours: int = 0
    """Whole hours from then until now, or until it was closed."""
    edits: int = 0
    """Cells in which something else counts than was exported."""
    closed_utc: str | None = None
    decision: str = ""
    """The last thing that a person did about it."""

    @property
    def age(self) -> str:
        """For people: `3 days`, `5 hours`."""
        days, hours = divmod(self.age_hours, 24)
        count, word = (days, "day") if days else (hours, "hour")
        return f"{count} {word}" + ("" if count == 1 else "s")


@dataclass(frozen=True)
class ShownFile:
    """The rows of a document in one of its files, as exported."""

    role: str
    columns: tuple[str, ...]
    names: tuple[str, ...]
    """How an edit names each row: `header`, a line, an entry id."""
    rows: tuple[tuple[str, ...], ...]
    edits: dict[str, str]
    """`row/column` -> what counts there instead."""


@dataclass(frozen=True)
class ShownDocument:
    """One document of the quarantine with all that there is to say of it."""

    entry: QuarantineEntry
    files: tuple[ShownFile, ...]
    history: tuple[str, ...]
    """What people decided, oldest first, a sentence each."""
    waivers: dict[str, str]
    """Rules it fails that a person may waive -> what that does."""
    waiting: tuple[QuarantineEntry, ...]
    """What waits for it."""


def open_entries(hub: Hub, stores: Sequence[str] = ()) -> list[QuarantineEntry]:
    """All open entries of these stores (none: of all), oldest first."""
    return list_entries(hub, stores)


def list_entries(
    hub: Hub, stores: Sequence[str] = (), *, closed: bool = False, now: str | None = None
) -> list[QuarantineEntry]:
    """Open entries of these stores (none: of all), oldest first; `closed` adds those of the last 14 days."""
    at, q = now or utc_now(), quarantine.c
    wanted = q.state == "open"
    if closed:
        since = datetime.fromisoformat(at) - timedelta(days=CLOSED_DAYS)
        wanted |= q.closed_utc >= since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    query = _entries().where(wanted)
    if stores:
        query = query.where(q.store.in_(stores))
    with hub.reading() as connection:
        return _described(connection, query, at)


def show_document(hub: Hub, document: str, *, now: str | None = None) -> ShownDocument:
    """One document: its open entry, else the last one that was closed; `DecisionRefused` if it has none."""
    from tasks.hub.papers import check_name, read_papers

    at, name, q = now or utc_now(), check_name(document), quarantine.c
    with hub.reading() as connection:
        paper = read_papers(connection, [name])[name]
        query = _entries().where(q.document == name)
        if paper.entry is not None:
            query = query.where(q.revision == paper.entry["revision"])
        found = _described(connection, query, at)
        if not found:
            from data_contracts.errors import DecisionRefused

            raise DecisionRefused(
                f"{name} was never in quarantine.",
                next_step=f"find its order: `tillbridge order {name.rsplit('/', 1)[1]}`",
            )
        waiting = _described(connection, _entries().where(q.waits_for == name, q.state == "open"), at)
        log = _log(connection, name)
        return ShownDocument(
            entry=found[-1],
            files=_files(paper),
            history=tuple(map(_sentence, log)),
            waivers=_waivers(paper),
            waiting=tuple(entry for entry in waiting if entry.document != name),
        )


def _entries() -> Select[Any]:
    q, d = quarantine.c, documents.c
    return (
        select(quarantine, d.state.label("standing"))
        .outerjoin(documents, d.document == q.document)
        .order_by(q.first_seen_utc, q.store, d.epoch, d.number, q.document, q.sequence)
    )


def _described(connection: Connection, query: Select[Any], now: str) -> list[QuarantineEntry]:
    from tasks.hub.decisions import UNDECIDED, read_standings

    rows = connection.execute(query).mappings().all()
    standings = read_standings(connection, {row["document"] for row in rows})
    found = []
    for row in rows:
        standing = standings.get((row["document"], row["revision"]), UNDECIDED)
        state = row["state"]
        if state == "open":
            state = "pending" if row["rule"] in WAITING_RULES else "quarantined"
        until = datetime.fromisoformat(row["closed_utc"] or now)
        age = until - datetime.fromisoformat(row["first_seen_utc"])
        found.append(
            QuarantineEntry(
                document=row["document"],
                store=row["store"],
                state=state,
                rule=row["rule"],
                message=row["message"],
                fix=row["fix"],
                units=row["units"] or 0,
                total=row["total"] or 0,
                business_date=row["business_date"],
                first_seen_utc=row["first_seen_utc"],
                batch=row["batch"],
                age_hours=max(0, int(age.total_seconds() // 3600)),
                edits=len(standing.edits),
                closed_utc=row["closed_utc"],
                decision=_last(standing),
            )
        )
    return found


def _last(standing: Standing) -> str:
    return _sentence(standing.decisions[-1]) if standing.decisions else ""


def _log(connection: Connection, document: str) -> list[Decision]:
    from tasks.hub.decisions import read_decisions

    found = read_decisions(connection, [document]).values()
    return sorted((decision for log in found for decision in log), key=lambda decision: decision.number)


def _sentence(decision: Decision) -> str:
    """`2026-11-25 09:00 ann edited ticket_lines/2/sku from NOPE to SKU-1: the till was wrong`."""
    what = {
        "edited": f"edited {decision.cell} from `{decision.old}` to `{decision.new}`",
        "edit_undone": f"took the edit of {decision.cell} back to `{decision.new}`",
        "edit_lapsed": f"let the edit of {decision.cell} lapse",
        "released": "released it",
        "accepted_rule": f"waived the rule {decision.rule}",
        "discarded": "discarded it",
    }[decision.action]
    return f"{decision.at_utc[:16].replace('T', ' ')} {decision.by} {what}: {decision.why}"


def _files(paper: Paper) -> tuple[ShownFile, ...]:
    from data_contracts.overlay import row_name

    if paper.entry is None or paper.entry["stream"] != STREAM_ORDERS:
        return ()
    files = []
    for role, rows in paper.rows().items():
        columns = tuple(name for name in FILES[STREAM_ORDERS][role] if name not in KEY)
        edits = {
            f"{edit.cell.row}/{edit.cell.column}": edit.new
            for edit in paper.standing.edits
            if edit.cell.role == role
        }
        names = tuple(row_name(role, row) for row in rows)
        files.append(
            ShownFile(role, columns, names, tuple(tuple(row[c] for c in columns) for row in rows), edits)
        )
    return tuple(files)


def _waivers(paper: Paper) -> dict[str, str]:
    from data_contracts.contract import waivers_of
    from data_contracts.posting import WAIVERS

    known = waivers_of(STREAM_ORDERS) | WAIVERS
    rule = paper.entry["rule"] if paper.entry is not None else ""
    return {rule: known[rule]} if rule in known else {}
