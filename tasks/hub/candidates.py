"""Gathers the revisions of documents that one transaction has to judge: a batch's and those that wait.

What tickets and orders have in common is here; `ticket_candidates` and `order_candidates` weigh and judge.

Newness is (sequence, batch id). A revision that is booked already is seen before; one older than the
booked one is superseded and only remembered.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from sqlalchemy import and_, or_, select

from data_contracts.documents import (
    FILES,
    KEY,
    ORDER,
    ORDER_ROLES,
    STREAM_ORDERS,
    TICKET,
    TICKET_ROLES,
    Kind,
)
from data_contracts.errors import ContractBroken
from data_contracts.frames import typed
from data_contracts.manifest import Manifest, Reason
from data_contracts.overlay import Rows, lapsed
from data_contracts.posting import UNKNOWN_KIND, Objection, waits_for_release
from data_contracts.sending_again import send_again
from tasks.hub.bulk import fetch_for, stage_keys
from tasks.hub.decisions import LAPSED, THE_HUB, UNDECIDED, Standing, decide, read_standings
from tasks.hub.desk import Desk
from tasks.hub.schema import documents, quarantine

Newness = tuple[int, str]


@dataclass(frozen=True)
class Source:
    """The files that carry documents of one source; the first holds their headers."""

    name: str
    columns: dict[str, dict[str, Kind]]

    @property
    def headers(self) -> str:
        """Role of the file with one row a document."""
        return next(iter(self.columns))

    @property
    def parts(self) -> tuple[str, ...]:
        """Roles of the others."""
        return tuple(self.columns)[1:]


TICKETS_OF = Source(TICKET, {role: FILES[STREAM_ORDERS][role] for role in TICKET_ROLES})
ORDERS_OF = Source(ORDER, {role: FILES[STREAM_ORDERS][role] for role in ORDER_ROLES})

BY_CONTRACT = -1
"""Catalogue version of an entry that its contract refused: no catalogue clears it."""

ENTRY_COLUMNS = (
    "document",
    "revision",
    "sequence",
    "batch_id",
    "batch",
    "state",
    "rule",
    "message",
    "kind",
    "catalog",
)


@dataclass(slots=True)
class Candidate:
    """One revision of one document, weighed and judged."""

    candidate: int
    ticket: dict[str, Any]
    """The typed header with what weighing adds; for a contract's refusal what could be read of it."""
    newness: Newness
    batch: str
    from_batch: bool
    objection: Objection | None = None
    by_contract: bool = False
    before_baseline: bool = False

    @property
    def document(self) -> str:
        """`S1/1/ticket/10452`."""
        return str(self.ticket["document"])

    @property
    def revision(self) -> str:
        """Its content hash."""
        return str(self.ticket["revision"])

    @property
    def key(self) -> tuple[str, str]:
        """(document, revision)."""
        return self.document, self.revision


@dataclass
class Gathered:
    """All that one transaction has to judge of one source, and what the hub knew of these documents."""

    source: Source
    candidates: list[Candidate] = field(default_factory=list)
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)
    """Role -> typed rows of all candidates, told apart by `candidate`; empty if there are none."""
    current: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Document -> its row."""
    entries: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Document -> its rows in quarantine, without the rows as exported."""
    superseded: list[Candidate] = field(default_factory=list)
    """Arrived after a newer one: remembered, nothing else."""
    seen_again: list[Candidate] = field(default_factory=list)
    """Revisions known before."""
    raw: dict[str, pd.DataFrame] = field(default_factory=dict)
    """Role -> rows of the batch as exported."""
    decided: dict[tuple[str, str], Standing] = field(default_factory=dict)
    """(document, revision) -> how it stands by what people decided; most are not here."""
    mended: set[tuple[str, str]] = field(default_factory=set)
    """Revisions that the contract refuses again as they came before, and that a person has mended since."""

    def standing(self, key: tuple[str, str]) -> Standing:
        """How a revision stands by what people decided."""
        return self.decided.get(key, UNDECIDED)


@dataclass(frozen=True)
class Arrivals:
    """The documents of one source that a batch brings."""

    manifest: Manifest
    accepted: Mapping[str, pd.DataFrame]
    refused: Mapping[str, pd.DataFrame]
    """Those that the contract refused."""
    reasons: Sequence[Reason]


def collect(
    desk: Desk,
    source: Source,
    arrivals: Arrivals | None,
    *,
    recheck_all: bool,
    names: Collection[str] = (),
    entries_of: Collection[str] = (),
) -> Gathered:
    """Read a batch's documents of one source and those that wait and may have become good.

    Fills all but `candidates`, `superseded` and `seen_again`, which `sort` does once they are weighed.
    Entries that wait for a document of `names`, and all those of `entries_of`, are read again as well.
    """
    found = Gathered(source)
    frames: list[dict[str, pd.DataFrame]] = []
    refusals: list[Candidate] = []
    fresh: dict[str, pd.DataFrame] | None = None
    arriving: set[str] = set()
    if arrivals is not None:
        refusals = _refusals(source, arrivals)
        found.raw = {
            role: pd.concat([arrivals.accepted[role], arrivals.refused[role]]) for role in source.columns
        }
        arriving = {refusal.document for refusal in refusals}
        arriving.update(_names(arrivals.accepted[source.headers]))
    waiting = _waiting(desk, source, arriving | set(names), entries_of, recheck_all)
    concerned = arriving | {row["document"] for row in waiting}
    found.current = {
        row["document"]: row for row in fetch_for(desk.connection, documents, "document", concerned)
    }
    _read_entries(desk, found, concerned)
    found.decided = read_standings(desk.connection, concerned)
    if arrivals is not None:
        if found.decided:
            _heed_decisions(desk, found, arrivals, arriving)
        fresh = _arrivals(source, arrivals, found)
        frames.append(fresh)
    known = {(row["document"], row["revision"]) for row in waiting}
    if fresh is not None and arrivals is not None:
        headers = fresh[source.headers]
        pairs = zip(headers["document"].tolist(), headers["revision"].tolist(), strict=True)
        here = (arrivals.manifest.sequence, arrivals.manifest.batch_id)
        known -= {pair for pair in pairs if _replaces(_kept(found, pair), here)}
    old = _stored(found, waiting, known, first=0 if fresh is None else len(fresh[source.headers]))
    if old is not None:
        frames.append(old)
    if frames:
        found.frames = {
            role: pd.concat([frame[role] for frame in frames], ignore_index=True) for role in source.columns
        }
    for refusal in refusals:
        sort(found, refusal)
    return found


def gather_into(found: Gathered, headers: pd.DataFrame, objections: Iterable[Objection | None]) -> None:
    """Sort the weighed headers, each with its objection; what is good but edited waits to be released."""
    records: list[dict[str, Any]] = headers.to_dict("records")  # type: ignore[assignment]
    for header, objection in zip(records, objections, strict=True):
        key = (header["document"], header["revision"])
        if objection is None and found.standing(key).awaits_release:
            word = "Order" if found.source is ORDERS_OF else "Ticket"
            objection = waits_for_release(f"{word} {header['number']}", header["document"])
        sort(
            found,
            Candidate(
                candidate=header["candidate"],
                ticket=header,
                newness=(header["sequence"], header["batch_id"]),
                batch=header["batch"],
                from_batch=header["from_batch"],
                objection=objection,
            ),
        )


def waived(found: Gathered, headers: pd.DataFrame) -> dict[int, frozenset[str]]:
    """Candidate -> rules that people have waived for it."""
    if not found.decided:
        return {}
    columns = (headers[name].tolist() for name in ("candidate", "document", "revision"))
    return {
        candidate: found.standing((document, revision)).waived
        for candidate, document, revision in zip(*columns, strict=True)
    }


# -- what people decided -------------------------------------------------------------------------------
def _heed_decisions(desk: Desk, found: Gathered, arrivals: Arrivals, arriving: Collection[str]) -> None:
    """Let edits lapse whose cells came again with another value, and note what stays mended."""
    here = (arrivals.manifest.sequence, arrivals.manifest.batch_id)
    concerned = {name for name, _ in found.decided} & set(arriving)
    ended: list[dict[str, Any]] = []
    for name, text in rows_as_exported(found, concerned).items():
        rows: Rows = json.loads(text)
        headers = rows[found.source.headers]
        key = (name, headers[0]["revision"] if headers else "")
        standing, entry = found.standing(key), _kept(found, key)
        if entry is None or entry["state"] != "open":
            continue
        if here > (int(entry["sequence"]), str(entry["batch_id"])):
            ended += [
                {
                    "document": name,
                    "revision": key[1],
                    "action": LAPSED,
                    "cell": edit.cell,
                    "exported": edit.exported,
                    "old": edit.new,
                    "ends": edit.number,
                    "by": THE_HUB,
                    "why": "the document came again with another value there",
                }
                for edit in lapsed(rows, standing.edits)
            ]
        if standing.decisions and entry["catalog"] != BY_CONTRACT:
            query = select(quarantine.c.rows).where(
                quarantine.c.document == name, quarantine.c.revision == key[1]
            )
            if _content(json.loads(desk.connection.execute(query).scalar_one())) == _content(rows):
                found.mended.add(key)
    if ended:
        decide(desk, ended)
        found.decided |= read_standings(desk.connection, concerned)


def _content(rows: Rows) -> Rows:
    """Rows without the stamps that each export gives them anew."""
    return {
        role: [{name: cell for name, cell in row.items() if name != "rowversion"} for row in of_role]
        for role, of_role in rows.items()
    }


def _overlaid(source: Source, found: Gathered, rows: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The rows of a batch with what people decided about documents that came before."""
    laid = {role: rows[role] for role in source.columns}
    headers = rows[source.headers]
    names = zip(_names(headers), headers["revision"].tolist(), strict=True)
    decided = {key[0]: found.standing(key) for key in names if found.standing(key).decisions}
    if not decided:
        return laid
    for role, frame in laid.items():
        records: list[dict[str, str]] = frame.to_dict("records")  # type: ignore[assignment]
        of = _names(frame)
        for at, name in enumerate(of):
            if name in decided:
                records[at] = decided[name].laid_over({role: [records[at]]})[role][0]
        laid[role] = pd.DataFrame(records, columns=frame.columns, dtype="str", index=frame.index)
    return laid


# -- reading -----------------------------------------------------------------------------------------
def _arrivals(source: Source, arrivals: Arrivals, found: Gathered) -> dict[str, pd.DataFrame]:
    manifest = arrivals.manifest
    read: dict[str, pd.DataFrame] = {}
    accepted = _overlaid(source, found, arrivals.accepted) if found.decided else arrivals.accepted
    for role, columns in source.columns.items():
        read[role], faults = typed(accepted[role], columns)
        if len(faults):
            raise ContractBroken(
                f"{manifest.path} holds cells in `{role}` that its verdict did not name. Nothing was "
                "imported; retrying cannot clear this.",
                next_step="validate the batch again",
                batch=manifest.path,
            )
    headers = read[source.headers]
    names = _names(headers)
    candidates = {name: at for at, name in enumerate(names)}
    if len(candidates) != len(names) or set(headers["store"].tolist()) - {manifest.store}:
        raise ContractBroken(
            f"{manifest.path} holds a {source.name} twice or one of another store. Nothing was imported; "
            "retrying cannot clear this.",
            next_step=send_again(manifest.path),
            batch=manifest.path,
        )
    read[source.headers] = headers.assign(
        candidate=range(len(names)),
        document=names,
        sequence=manifest.sequence,
        batch_id=manifest.batch_id,
        batch=manifest.path,
        from_batch=True,
    )
    for role in source.parts:
        try:
            read[role] = read[role].assign(candidate=[candidates[name] for name in _names(read[role])])
        except KeyError as error:
            raise ContractBroken(
                f"{manifest.path} holds rows in `{role}` without their {source.name}. Nothing was imported; "
                "retrying cannot clear this.",
                next_step=send_again(manifest.path),
                batch=manifest.path,
            ) from error
    return read


def _names(frame: pd.DataFrame) -> list[str]:
    return ["/".join(map(str, key)) for key in zip(*(frame[name].tolist() for name in KEY), strict=True)]


def _refusals(source: Source, arrivals: Arrivals) -> list[Candidate]:
    """Documents that the contract refused, with what can be read of them.

    `parts` in their header holds the readable rows of the other files, by role.
    """
    by_document: dict[str, list[Reason]] = {}
    for reason in arrivals.reasons:
        if reason.document is not None and reason.document.split("/")[2] == source.name:
            by_document.setdefault(reason.document, []).append(reason)
    headers: dict[str, dict[str, Any]] = {}
    raw = arrivals.refused[source.headers]
    for name, header in zip(_names(raw), raw.to_dict("records"), strict=True):
        headers.setdefault(name, {str(column): cell for column, cell in header.items()})
    parts: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for role in source.parts:
        readable, _ = typed(arrivals.refused[role], source.columns[role])
        for name, row in zip(_names(readable), readable.to_dict("records"), strict=True):
            of = parts.setdefault(name, {part: [] for part in source.parts})
            of[role].append({str(column): cell for column, cell in row.items()})
    found = []
    for name, why in by_document.items():
        store, epoch, _, number = name.split("/")
        readable_cells = _readable(headers.get(name, {}), source.columns[source.headers])
        ticket: dict[str, Any] = {"revision": "", **readable_cells}
        ticket |= {"document": name, "store": store, "epoch": int(epoch), "source": source.name}
        ticket |= {"number": int(number), "kind": UNKNOWN_KIND, "mirror": None}
        ticket["parts"] = parts.get(name, {part: [] for part in source.parts})
        first = why[0]
        message = first.message if len(why) == 1 else " ".join(reason.message for reason in why)
        found.append(
            Candidate(
                candidate=-1,
                ticket=ticket,
                newness=(arrivals.manifest.sequence, arrivals.manifest.batch_id),
                batch=arrivals.manifest.path,
                from_batch=True,
                objection=Objection(first.rule, message, first.fix),
                by_contract=True,
            )
        )
    return found


def _readable(cells: Mapping[str, str], columns: Mapping[str, Kind]) -> dict[str, Any]:
    """The cells of a header that can be read, typed; None for the others."""
    if not cells:
        return {}
    read: dict[str, Any] = {}
    for column, kind in columns.items():
        frame, faults = typed(pd.DataFrame({column: [cells[column]]}, dtype="str"), {column: kind})
        read[column] = None if len(faults) else frame[column].tolist()[0]
    return read


def _waiting(
    desk: Desk, source: Source, arriving: set[str], entries_of: Collection[str], recheck_all: bool
) -> list[dict[str, Any]]:
    """Entries that may have become good, without those that nothing has happened to since.

    The catalogue has changed, or they wait for a document that arrives or is among these entries itself.
    What is older than the booked revision stays superseded for ever and is not read again.
    """
    q, d = quarantine.c, documents.c
    outlived = (d.state == "accepted") & or_(
        q.sequence < d.sequence, and_(q.sequence == d.sequence, q.batch_id < d.batch_id)
    )
    waiting = (
        select(quarantine)
        .join(documents, d.document == q.document)
        .where(
            q.store == desk.store,
            q.stream == STREAM_ORDERS,
            d.source == source.name,
            q.state.in_(("open", "superseded")),
            q.catalog != BY_CONTRACT,
            ~outlived,
        )
        .order_by(q.document, q.revision)
    )
    if recheck_all:
        return [dict(row) for row in desk.connection.execute(waiting).mappings()]
    due = ((q.rule == "unknown_sku") & (q.catalog < desk.catalog)) | (q.rule == "already_voided")
    if entries_of:
        due |= q.document.in_(select(stage_keys(desk.connection, "staged_entries_of", entries_of).c.key))
    rows = desk.connection.execute(waiting.where(due)).mappings().all()
    found = {(row["document"], row["revision"]): dict(row) for row in rows}
    names = arriving | {document for document, _ in found}
    while names:
        staged = stage_keys(desk.connection, "staged_awaited", names)
        follow = waiting.where(q.waits_for.in_(select(staged.c.key)))
        names = set()
        for row in desk.connection.execute(follow).mappings():
            if (row["document"], row["revision"]) not in found:
                found[row["document"], row["revision"]] = dict(row)
                names.add(row["document"])
    return list(found.values())


def _stored(
    found: Gathered, waiting: Sequence[dict[str, Any]], wanted: set[tuple[str, str]], *, first: int
) -> dict[str, pd.DataFrame] | None:
    """The stored rows of entries with what people decided about them, typed, numbered from `first`."""
    source = found.source
    chosen = [row for row in waiting if (row["document"], row["revision"]) in wanted]
    if not chosen:
        return None
    raw: dict[str, list[dict[str, str]]] = {role: [] for role in source.columns}
    marks: dict[str, list[int]] = {role: [] for role in source.columns}
    for at, row in enumerate(chosen, start=first):
        standing = found.standing((row["document"], row["revision"]))
        for role, cells in standing.laid_over(json.loads(row["rows"])).items():
            raw[role] += cells
            marks[role] += [at] * len(cells)
    read: dict[str, pd.DataFrame] = {}
    for role, columns in source.columns.items():
        rows = pd.DataFrame(raw[role], columns=list(columns), dtype="str")
        frame, _ = typed(rows, columns)
        read[role] = frame.assign(candidate=marks[role])
    of = {name: [row[name] for row in chosen] for name in ("document", "sequence", "batch_id", "batch")}
    read[source.headers] = read[source.headers].assign(**of, from_batch=False)
    return read


def _read_entries(desk: Desk, found: Gathered, names: set[str]) -> None:
    staged = stage_keys(desk.connection, "staged_entries", names)
    columns = [quarantine.c[name] for name in ENTRY_COLUMNS]
    query = select(*columns).join(staged, staged.c.key == quarantine.c.document)
    for row in desk.connection.execute(query).mappings():
        found.entries.setdefault(row["document"], []).append(dict(row))


# -- sorting -----------------------------------------------------------------------------------------
def _kept(found: Gathered, pair: tuple[str, str]) -> dict[str, Any] | None:
    """The entry that quarantine keeps of a revision and that a person or a cause may still close."""
    for entry in found.entries.get(pair[0], ()):
        if entry["revision"] == pair[1] and entry["state"] in ("open", "discarded"):
            return entry
    return None


def _replaces(entry: dict[str, Any] | None, newness: Newness) -> bool:
    """Whether rows of that newness stand for the revision from now on, instead of those of its entry.

    SKUs, codes and dates are outside the hash: what was wrong with them may be right when it is sent again.
    """
    return entry is None or (
        entry["state"] == "open" and newness > (int(entry["sequence"]), str(entry["batch_id"]))
    )


def _mends(entry: dict[str, Any] | None, candidate: Candidate) -> bool:
    """Whether an older form of the same content is good where its entry is not: it is booked all the same.

    What is said of a void before its ticket is looked up says little; only a contract's refusal is mended.
    """
    if entry is None or entry["state"] != "open" or candidate.objection is not None:
        return False
    return bool(entry["catalog"] == BY_CONTRACT or candidate.ticket["kind"] != "void")


def sort(found: Gathered, candidate: Candidate) -> None:
    """Tell what is to be judged from what was seen before and what came too late."""
    current = found.current.get(candidate.document)
    if current is not None and current["state"] == "accepted":
        if current["revision"] == candidate.revision:
            if candidate.from_batch:
                found.seen_again.append(candidate)
            return
        if candidate.newness < (current["sequence"], current["batch_id"]):
            if candidate.from_batch:
                found.superseded.append(candidate)
            return  # an entry older than what is booked stays superseded
    if candidate.from_batch:
        entry = _kept(found, candidate.key)
        if candidate.by_contract and candidate.key in found.mended:
            found.seen_again.append(candidate)
            return
        if not (_replaces(entry, candidate.newness) or _mends(entry, candidate)):
            found.seen_again.append(candidate)
            return
    found.candidates.append(candidate)


def rows_as_exported(found: Gathered, names: set[str]) -> dict[str, str]:
    """JSON (role -> rows of text) of each of these documents of the batch."""
    rows: dict[str, dict[str, list[dict[str, str]]]]
    rows = {name: {role: [] for role in found.source.columns} for name in names}
    for role, frame in found.raw.items():
        of = _names(frame)
        keep = [at for at, name in enumerate(of) if name in names]
        for at, cells in zip(keep, frame.iloc[keep].to_dict("records"), strict=True):
            rows[of[at]][role].append({str(column): cell for column, cell in cells.items()})
    return {name: json.dumps(cells, ensure_ascii=False) for name, cells in rows.items()}
