"""Gathers the revisions of tickets that one transaction has to judge: a batch's and those that wait.

Newness is (sequence, batch id). A revision that is booked already is seen before; one older than the
booked one is superseded and only remembered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from sqlalchemy import and_, or_, select

from data_contracts.documents import KEY, STREAM_ORDERS, TENDERS, TICKET_LINES, TICKETS
from data_contracts.errors import ContractBroken
from data_contracts.frames import typed
from data_contracts.manifest import Manifest, Reason
from data_contracts.posting import UNKNOWN_KIND, Objection, judge, judge_void, name_products, weigh
from data_contracts.posting import VoidTarget as Target
from data_contracts.sending_again import send_again
from tasks.hub.bulk import fetch_for, stage_keys
from tasks.hub.desk import Desk
from tasks.hub.schema import document_revisions, documents, orders, quarantine

COLUMNS = {"tickets": TICKETS, "ticket_lines": TICKET_LINES, "tenders": TENDERS}
Newness = tuple[int, str]

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
    """One revision of one ticket, weighed and judged."""

    candidate: int
    ticket: dict[str, Any]
    """The typed header with what `weigh` adds; for a contract's refusal what could be read of it."""
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


@dataclass
class Gathered:
    """All that one transaction has to judge, and what the hub knew of these documents before."""

    candidates: list[Candidate] = field(default_factory=list)
    lines: pd.DataFrame = field(default_factory=pd.DataFrame)
    tenders: pd.DataFrame = field(default_factory=pd.DataFrame)
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


def gather(
    desk: Desk,
    manifest: Manifest | None,
    accepted: Mapping[str, pd.DataFrame],
    refused: Mapping[str, pd.DataFrame],
    reasons: Sequence[Reason],
    *,
    recheck_all: bool,
) -> Gathered:
    """Read, weigh and judge a batch's documents (`accepted`, `refused` by its contract) and waiting ones."""
    found = Gathered()
    frames: list[dict[str, pd.DataFrame]] = []
    refusals: list[Candidate] = []
    arrivals: dict[str, pd.DataFrame] | None = None
    if manifest is not None:
        arrivals = _arrivals(manifest, accepted)
        refusals = _refusals(manifest, refused, reasons)
        found.raw = {role: pd.concat([accepted[role], refused[role]]) for role in COLUMNS}
    names = {refusal.document for refusal in refusals}
    if arrivals is not None:
        names.update(arrivals["tickets"]["document"].tolist())
    waiting = _waiting(desk, names, recheck_all)
    names |= {row["document"] for row in waiting}
    found.current = {row["document"]: row for row in fetch_for(desk.connection, documents, "document", names)}
    _read_entries(desk, found, names)
    if arrivals is not None:
        frames.append(arrivals)
    known = {(row["document"], row["revision"]) for row in waiting}
    if arrivals is not None and manifest is not None:
        tickets = arrivals["tickets"]
        fresh = zip(tickets["document"].tolist(), tickets["revision"].tolist(), strict=True)
        here = (manifest.sequence, manifest.batch_id)
        known -= {pair for pair in fresh if _replaces(_kept(found, pair), here)}
    old = _stored(waiting, known, first=0 if arrivals is None else len(arrivals["tickets"]))
    if old is not None:
        frames.append(old)
    if frames:
        _weigh_and_sort(desk, found, frames)
    for refusal in refusals:
        _sort(found, refusal)
    _judge(desk, found)
    return found


# -- reading -----------------------------------------------------------------------------------------
def _arrivals(manifest: Manifest, rows: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    read: dict[str, pd.DataFrame] = {}
    for role, columns in COLUMNS.items():
        read[role], faults = typed(rows[role], columns)
        if len(faults):
            raise ContractBroken(
                f"{manifest.path} holds cells in `{role}` that its verdict did not name. Nothing was "
                "imported; retrying cannot clear this.",
                next_step="validate the batch again",
                batch=manifest.path,
            )
    tickets = read["tickets"]
    names = _names(tickets)
    candidates = {name: at for at, name in enumerate(names)}
    if len(candidates) != len(names) or set(tickets["store"].tolist()) - {manifest.store}:
        raise ContractBroken(
            f"{manifest.path} holds a ticket twice or one of another store. Nothing was imported; retrying "
            "cannot clear this.",
            next_step=send_again(manifest.path),
            batch=manifest.path,
        )
    read["tickets"] = tickets.assign(
        candidate=range(len(names)),
        document=names,
        sequence=manifest.sequence,
        batch_id=manifest.batch_id,
        batch=manifest.path,
        from_batch=True,
    )
    for role in ("ticket_lines", "tenders"):
        try:
            read[role] = read[role].assign(candidate=[candidates[name] for name in _names(read[role])])
        except KeyError as error:
            raise ContractBroken(
                f"{manifest.path} holds rows in `{role}` without their ticket. Nothing was imported; "
                "retrying cannot clear this.",
                next_step=send_again(manifest.path),
                batch=manifest.path,
            ) from error
    return read


def _names(frame: pd.DataFrame) -> list[str]:
    return ["/".join(map(str, key)) for key in zip(*(frame[name].tolist() for name in KEY), strict=True)]


def _refusals(
    manifest: Manifest, rows: Mapping[str, pd.DataFrame], reasons: Sequence[Reason]
) -> list[Candidate]:
    """Documents that the contract refused, with what can be read of their headers."""
    by_document: dict[str, list[Reason]] = {}
    for reason in reasons:
        if reason.document is not None:
            by_document.setdefault(reason.document, []).append(reason)
    headers: dict[str, dict[str, Any]] = {}
    for name, header in zip(_names(rows["tickets"]), rows["tickets"].to_dict("records"), strict=True):
        headers.setdefault(name, {str(column): cell for column, cell in header.items()})
    tenders: dict[str, list[tuple[Any, ...]]] = {}
    readable, _ = typed(rows["tenders"], TENDERS)
    columns = ("entry_id", "tender_id", "tender_code", "amount")
    cells = zip(*(readable[column].tolist() for column in columns), strict=True)
    for name, tender in zip(_names(readable), cells, strict=True):
        tenders.setdefault(name, []).append(tender)
    found = []
    for name, why in by_document.items():
        store, epoch, source, number = name.split("/")
        ticket: dict[str, Any] = {"revision": "", **_readable(headers.get(name, {}))}
        ticket |= {"document": name, "store": store, "epoch": int(epoch), "source": source}
        ticket |= {"number": int(number), "kind": UNKNOWN_KIND, "mirror": None}
        # Several rows with one entry id may be the very fault: the last stands for them.
        ticket["tenders"] = list({tender[0]: tender for tender in tenders.get(name, [])}.values())
        first = why[0]
        message = first.message if len(why) == 1 else " ".join(reason.message for reason in why)
        found.append(
            Candidate(
                candidate=-1,
                ticket=ticket,
                newness=(manifest.sequence, manifest.batch_id),
                batch=manifest.path,
                from_batch=True,
                objection=Objection(first.rule, message, first.fix),
                by_contract=True,
            )
        )
    return found


def _readable(cells: Mapping[str, str]) -> dict[str, Any]:
    """The cells of a header that can be read, typed; None for the others."""
    if not cells:
        return {}
    read: dict[str, Any] = {}
    for column, kind in TICKETS.items():
        frame, faults = typed(pd.DataFrame({column: [cells[column]]}, dtype="str"), {column: kind})
        read[column] = None if len(faults) else frame[column].tolist()[0]
    return read


def _waiting(desk: Desk, arriving: set[str], recheck_all: bool) -> list[dict[str, Any]]:
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
            q.state.in_(("open", "superseded")),
            q.catalog != BY_CONTRACT,
            ~outlived,
        )
        .order_by(q.document, q.revision)
    )
    if recheck_all:
        return [dict(row) for row in desk.connection.execute(waiting).mappings()]
    due = ((q.rule == "unknown_sku") & (q.catalog < desk.catalog)) | (q.rule == "already_voided")
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
    waiting: Sequence[dict[str, Any]], wanted: set[tuple[str, str]], *, first: int
) -> dict[str, pd.DataFrame] | None:
    """The stored rows of entries, typed, numbered from `first`."""
    chosen = [row for row in waiting if (row["document"], row["revision"]) in wanted]
    if not chosen:
        return None
    raw: dict[str, list[dict[str, str]]] = {role: [] for role in COLUMNS}
    marks: dict[str, list[int]] = {role: [] for role in COLUMNS}
    for at, row in enumerate(chosen, start=first):
        for role, cells in json.loads(row["rows"]).items():
            raw[role] += cells
            marks[role] += [at] * len(cells)
    read: dict[str, pd.DataFrame] = {}
    for role, columns in COLUMNS.items():
        rows = pd.DataFrame(raw[role], columns=list(columns), dtype="str")
        frame, _ = typed(rows, columns)
        read[role] = frame.assign(candidate=marks[role])
    of = {name: [row[name] for row in chosen] for name in ("document", "sequence", "batch_id", "batch")}
    read["tickets"] = read["tickets"].assign(**of, from_batch=False)
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


def _weigh_and_sort(desk: Desk, found: Gathered, frames: Sequence[dict[str, pd.DataFrame]]) -> None:
    """Fill lines and tenders, and sort what is to be judged from what was seen before."""
    joint = {role: pd.concat([frame[role] for frame in frames], ignore_index=True) for role in COLUMNS}
    tickets = weigh(joint["tickets"], joint["ticket_lines"], joint["tenders"], desk.rules.codes)
    skus = set(joint["ticket_lines"]["sku"].tolist())
    products = desk.products(skus)
    found.tenders = joint["tenders"]
    found.lines = name_products(
        joint["ticket_lines"], products, desk.rules.codes, ignore_case=desk.rules.ignore_case
    )
    objections = judge(tickets, found.lines, desk.rules)
    records: list[dict[str, Any]] = tickets.to_dict("records")  # type: ignore[assignment]
    for ticket, objection in zip(records, objections, strict=True):
        _sort(
            found,
            Candidate(
                candidate=ticket["candidate"],
                ticket=ticket,
                newness=(ticket["sequence"], ticket["batch_id"]),
                batch=ticket["batch"],
                from_batch=ticket["from_batch"],
                objection=objection,
            ),
        )


def _sort(found: Gathered, candidate: Candidate) -> None:
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
        entry = _kept(found, (candidate.document, candidate.revision))
        if not (_replaces(entry, candidate.newness) or _mends(entry, candidate)):
            found.seen_again.append(candidate)
            return
    found.candidates.append(candidate)


# -- judging voids -------------------------------------------------------------------------------------
def _judge(desk: Desk, found: Gathered) -> None:
    """Judge the voids among the candidates, after all others: a void may name a ticket of the same batch."""
    voids = [c for c in found.candidates if c.ticket["kind"] == "void" and c.objection is None]
    for candidate in found.candidates:
        if candidate.ticket["kind"] in ("return", "exchange"):
            recalled = linked_document(desk, candidate.ticket)
            candidate.before_baseline = recalled is not None and desk.is_history(
                candidate.ticket["recall_id"]
            )
    if not voids:
        return
    named = {c.candidate: desk.recalled(c.ticket["epoch"], c.ticket["recall_id"]) for c in voids}
    targets = _targets(desk, found, set(named.values()))
    for void in sorted(voids, key=lambda c: (c.ticket["epoch"], c.ticket["number"], c.newness)):
        name = named[void.candidate]
        target = targets.get(name)
        is_history = desk.is_history(void.ticket["recall_id"])
        void.objection = judge_void(void.ticket, target, name, is_history=is_history)
        void.before_baseline = void.objection is None and target is None
        if void.objection is None and target is not None:
            targets[name] = target._replace(voided_by=void.document)


def _targets(desk: Desk, found: Gathered, names: set[str]) -> dict[str, Target]:
    mirrors: dict[str, set[str]] = {}
    for row in fetch_for(desk.connection, document_revisions, "document", names):
        mirrors.setdefault(row["document"], set()).add(row["mirror"] or "")
    voided_by = {r["order_id"]: r["voided_by"] for r in fetch_for(desk.connection, orders, "order_id", names)}
    kinds: dict[str, str] = {}
    booked: set[str] = set()
    for row in fetch_for(desk.connection, documents, "document", names):
        kinds[row["document"]] = row["kind"]
        if row["state"] == "accepted":
            booked.add(row["document"])
    for candidate in (*found.superseded, *found.candidates):
        if candidate.document in names:
            mirrors.setdefault(candidate.document, set()).add(candidate.ticket["mirror"] or "")
            kinds[candidate.document] = candidate.ticket["kind"]
    for candidate in found.candidates:
        # A void that is still to be judged has no objection yet, but nothing may void it anyway.
        if candidate.document in names and candidate.objection is None:
            booked.add(candidate.document)
            kinds[candidate.document] = candidate.ticket["kind"]
    return {
        name: Target(kind, name in booked, frozenset(mirrors[name]), voided_by.get(name))
        for name, kind in kinds.items()
    }


def linked_document(desk: Desk, ticket: dict[str, Any]) -> str | None:
    """The ticket that a return, exchange or void recalls; None where RMS knows none, or itself."""
    codes = desk.rules.codes
    recalls = ticket.get("recall_type") in (codes.recall_return, codes.recall_void)
    if ticket["kind"] not in ("return", "exchange", "void") or not recalls or not ticket["recall_id"]:
        return None
    recalled = desk.recalled(ticket["epoch"], ticket["recall_id"])
    return None if recalled == ticket["document"] else recalled


def rows_as_exported(found: Gathered, names: set[str]) -> dict[str, str]:
    """JSON (role -> rows of text) of each of these documents of the batch."""
    rows: dict[str, dict[str, list[dict[str, str]]]]
    rows = {name: {role: [] for role in COLUMNS} for name in names}
    for role, frame in found.raw.items():
        of = _names(frame)
        keep = [at for at, name in enumerate(of) if name in names]
        for at, cells in zip(keep, frame.iloc[keep].to_dict("records"), strict=True):
            rows[of[at]][role].append({str(column): cell for column, cell in cells.items()})
    return {name: json.dumps(cells, ensure_ascii=False) for name, cells in rows.items()}
