"""Weighs and judges the snapshots of orders that one transaction has to deal with."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from sqlalchemy import and_, exists, or_, select

from data_contracts.codes import LAYAWAY, ORDER_KINDS, order_kind
from data_contracts.documents import sku_key
from data_contracts.order_progress import Snapshot, SnapshotLine
from data_contracts.posting import UNKNOWN_KIND, Objection
from data_contracts.waiting import WAITING_TO_ADVANCE
from tasks.hub.bulk import fetch_for, stage_keys, upsert
from tasks.hub.candidates import (
    ORDERS_OF,
    Arrivals,
    Candidate,
    Gathered,
    collect,
    gather_into,
    rows_as_exported,
    waived,
)
from tasks.hub.decisions import Standing
from tasks.hub.desk import Desk
from tasks.hub.schema import document_revisions, documents, order_snapshots, quarantine

SNAPSHOT_COLUMNS = ("document", "revision", "sequence", "batch_id", "closed", "rows")


def gather_orders(
    desk: Desk, arrivals: Arrivals | None, *, recheck_all: bool, entries_of: Collection[str] = ()
) -> Gathered:
    """Read, weigh and judge a batch's snapshots and waiting ones.

    A first snapshot that is open and of which nothing was taken has no objection: it opens the order. Every
    other good one waits for advance-layaways or advance-backorders.
    """
    found = collect(desk, ORDERS_OF, arrivals, recheck_all=recheck_all, entries_of=entries_of)
    if found.frames:
        orders = _weigh(desk, found)
        gather_into(found, orders, _judge(desk, found, orders))
    for candidate in (*found.candidates, *found.superseded, *found.seen_again):
        if candidate.by_contract:
            header = candidate.ticket
            header |= {"occurred_at": header.get("ordered_at"), "units": header.get("on_order")}
        elif candidate.objection is None and not _opens(found, candidate):
            candidate.objection = _waits(candidate)
    return found


def _weigh(desk: Desk, found: Gathered) -> pd.DataFrame:
    """The headers with `kind` and with the names that the hub's tables have for their figures."""
    orders = found.frames["orders"]
    codes = desk.rules.codes
    kinds = []
    for document, order_type, flags in zip(
        orders["document"].tolist(), orders["order_type"].tolist(), orders["flags"].tolist(), strict=True
    ):
        known = (found.current.get(document) or {}).get("kind", "")
        leaves = order_type in codes.home_order_types or "deleted" in flags.split(";")
        kind = order_kind(order_type, codes)
        if not kind and leaves:
            # It is none of ours any more: what it was, it stays to its end.
            kind = known if known in ORDER_KINDS else LAYAWAY if "deleted" in flags.split(";") else ""
        kinds.append(kind or UNKNOWN_KIND)
    return orders.assign(
        kind=kinds,
        occurred_at=orders["ordered_at"],
        z_batch=0,
        register=0,
        units=orders["on_order"],
        mirror="",
    )


def _judge(desk: Desk, found: Gathered, orders: pd.DataFrame) -> list[Objection | None]:
    lines = found.frames["order_lines"]
    waivers = waived(found, orders)
    products = desk.products(set(lines["sku"].tolist()))
    counts = {role: found.frames[role]["candidate"].value_counts().to_dict() for role in ORDERS_OF.parts}
    unknown: dict[int, list[str]] = {}
    columns = ("candidate", "sku", "item_type", "on_order", "taken")
    for candidate, sku, item_type, on_order, taken in zip(
        *(lines[name].tolist() for name in columns), strict=True
    ):
        stocked = item_type not in desk.rules.codes.without_stock_item_types
        key = sku_key(sku, ignore_case=desk.rules.ignore_case)
        skus = unknown.setdefault(candidate, [])
        if stocked and (on_order or taken) and key not in products and sku not in skus:
            skus.append(sku)
    records: list[dict[str, Any]] = orders.to_dict("records")  # type: ignore[assignment]
    return [
        _judge_one(
            order,
            unknown.get(order["candidate"], []),
            {role: int(found_of.get(order["candidate"], 0)) for role, found_of in counts.items()},
            waivers.get(order["candidate"], ()),
        )
        for order in records
    ]


def _judge_one(
    order: Mapping[str, Any], unknown: Sequence[str], counts: Mapping[str, int], waived: Collection[str]
) -> Objection | None:
    name = f"Order {order['number']}"
    if order["kind"] == UNKNOWN_KIND:
        return Objection(
            "unknown_order_type",
            f"{name} has the type {order['order_type']}, which no code table explains.",
            f"find out what RMS means by it and set it in [stores.{order['store']}.codes]",
        )
    if "unsettled" in order["flags"].split(";") and "unsettled" not in waived:
        return Objection(
            "unsettled",
            f"{name} was read although RMS had not finished writing it.",
            "look at the order in RMS; a later export of the finished order clears this",
        )
    said = {"order_lines": "line_count", "order_history": "history_count", "deposit_tenders": "tender_count"}
    if any(counts[role] != order[count] for role, count in said.items()):
        return Objection(
            "incomplete",
            f"{name} does not have the rows that its header tells of.",
            f"send it again: `tillbridge resend {order['store']} --orders {order['number']}` at the store",
        )
    if unknown:
        named = ", ".join(f"`{sku}`" for sku in unknown[:10]) + (" and more" if len(unknown) > 10 else "")
        return Objection(
            "unknown_sku",
            f"{name} holds SKUs that the hub's catalogue does not know: {named}.",
            "add the products, or aliases for them, to the catalogue; it clears itself then",
        )
    return None


def _opens(found: Gathered, candidate: Candidate) -> bool:
    """Whether the snapshot opens its order: nothing is applied yet, and nothing has to be but itself."""
    current = found.current.get(candidate.document)
    order = candidate.ticket
    return (current is None or current["state"] != "accepted") and not order["closed"] and order["taken"] == 0


def _waits(candidate: Candidate) -> Objection:
    number, kind = candidate.ticket["number"], candidate.ticket["kind"]
    return Objection(
        WAITING_TO_ADVANCE,
        f"Order {number} has changed; advance-{kind}s applies it.",
        f"nothing to do: the next run of advance-{kind}s applies it (`tillbridge advance`)",
        candidate.document,
    )


# -- the snapshots of an order, all of them ------------------------------------------------------------
def keep_snapshots(desk: Desk, found: Gathered) -> None:
    """Keep the batch's snapshots that passed their contract, whatever becomes of them but discarded ones.

    Of one that came before, the rows of its newest batch stay: SKUs may have been renamed.
    """
    arrived = [c for c in (*found.candidates, *found.superseded, *found.seen_again) if c.from_batch]
    arrived = [c for c in arrived if not c.by_contract and found.standing(c.key).discarded is None]
    if not arrived:
        return
    names = {c.document for c in arrived}
    exported = rows_as_exported(found, names)
    known = {
        (row["document"], row["revision"]): row
        for row in fetch_for(desk.connection, order_snapshots, "document", names)
    }
    newest = _newest_arrivals(desk, names)
    rows: list[tuple[Any, ...]] = []
    for c in arrived:
        row = known.get(c.key)
        first = c.newness if row is None else min(c.newness, (row["sequence"], row["batch_id"]))
        if row is None or c.newness >= newest.get(c.key, c.newness):
            text = as_released(exported[c.document], found.standing(c.key))
            rows.append((*c.key, *first, bool(c.ticket["closed"]), text))
        elif first == c.newness:
            rows.append((*c.key, *first, row["closed"], row["rows"]))
    upsert(desk.connection, order_snapshots, SNAPSHOT_COLUMNS, rows, update=SNAPSHOT_COLUMNS[2:])


def keep_released(desk: Desk, entry: Mapping[str, Any], standing: Standing) -> None:
    """Keep a snapshot that a person has released, with the edits; `entry` is its row in quarantine."""
    rows = as_released(entry["rows"], standing)
    closed = json.loads(rows)["orders"][0]["closed"] == "true"
    row = (*(entry[name] for name in SNAPSHOT_COLUMNS[:4]), closed, rows)
    upsert(desk.connection, order_snapshots, SNAPSHOT_COLUMNS, [row], update=SNAPSHOT_COLUMNS[4:])


def forget_snapshot(desk: Desk, document: str, revision: str) -> None:
    """Drop a snapshot that was discarded: later ones are seen as if it had never been.

    One that had come before what is applied now, and came once more, stays for what it says of that.
    """
    s, d = order_snapshots.c, documents.c
    older = or_(s.sequence < d.sequence, and_(s.sequence == d.sequence, s.batch_id < d.batch_id))
    lived = exists().where(d.document == s.document, d.state == "accepted", older)
    desk.connection.execute(
        order_snapshots.delete().where(s.document == document, s.revision == revision, ~lived)
    )


def as_released(exported: str, standing: Standing) -> str:
    """Rows as exported with what was released of their edits, as JSON."""
    if standing.awaits_release or not standing.decisions:
        return exported
    return json.dumps(standing.laid_over(json.loads(exported)), ensure_ascii=False)


def load_snapshots(desk: Desk, names: Collection[str]) -> dict[str, list[tuple[Snapshot, dict[str, Any]]]]:
    """Document -> its snapshots that passed their contract, each with its typed header.

    One that came again stands where it came first and, unless it was discarded, where it came last.
    """
    from data_contracts.frames import typed

    rows = fetch_for(desk.connection, order_snapshots, "document", names)
    if not rows:
        return {}
    rows.sort(key=lambda row: (row["document"], row["sequence"], row["batch_id"]))
    raw: dict[str, list[dict[str, str]]] = {role: [] for role in ORDERS_OF.columns}
    marks: dict[str, list[int]] = {role: [] for role in ORDERS_OF.columns}
    for at, row in enumerate(rows):
        for role, cells in json.loads(row["rows"]).items():
            raw[role] += cells
            marks[role] += [at] * len(cells)
    read: dict[str, list[dict[str, Any]]] = {}
    for role, columns in ORDERS_OF.columns.items():
        frame, _ = typed(pd.DataFrame(raw[role], columns=list(columns), dtype="str"), columns)
        records: list[dict[str, Any]] = frame.assign(at=marks[role]).to_dict("records")  # type: ignore[assignment]
        read[role] = records
    products = desk.products(line["sku"] for line in read["order_lines"])
    lines: dict[int, list[SnapshotLine]] = {}
    for line in read["order_lines"]:
        lines.setdefault(line["at"], []).append(_line(desk, line, products))
    tickets: dict[int, set[int]] = {}
    for entry in read["order_history"]:
        if entry["transaction_number"]:
            tickets.setdefault(entry["at"], set()).add(entry["transaction_number"])
    found: dict[str, list[tuple[Snapshot, dict[str, Any]]]] = {}
    newest, discarded = _newest_arrivals(desk, names), _discarded(desk, names)
    for header in read["orders"]:
        row = rows[header["at"]]
        key, first = (row["document"], row["revision"]), (row["sequence"], row["batch_id"])
        last = first if key in discarded else newest.get(key, first)
        for newness in sorted({first, last}):
            of = lines.get(header["at"], ()), tickets.get(header["at"], ())
            found.setdefault(row["document"], []).append((_snapshot(desk, header, newness, *of), header))
    return found


def _newest_arrivals(desk: Desk, names: Collection[str]) -> dict[tuple[str, str], tuple[int, str]]:
    """(document, revision) -> newest (sequence, batch id) in which it came."""
    return {
        (row["document"], row["revision"]): (row["sequence"], row["batch_id"])
        for row in fetch_for(desk.connection, document_revisions, "document", names)
    }


def _discarded(desk: Desk, names: Collection[str]) -> set[tuple[str, str]]:
    """(document, revision) of those that a person has put aside for good."""
    q = quarantine.c
    staged = stage_keys(desk.connection, "staged_discarded", names)
    query = select(q.document, q.revision).join(staged, staged.c.key == q.document)
    return set(desk.connection.execute(query.where(q.state == "discarded")).tuples())


def _snapshot(
    desk: Desk,
    header: Mapping[str, Any],
    newness: tuple[int, str],
    lines: Iterable[SnapshotLine],
    tickets: Iterable[int],
) -> Snapshot:
    codes = desk.rules.codes
    deleted = "deleted" in header["flags"].split(";")
    stays_home = header["order_type"] in codes.home_order_types
    return Snapshot(
        revision=header["revision"],
        newness=newness,
        kind=order_kind(header["order_type"], codes),
        closed=header["closed"] or deleted or stays_home,
        deleted=deleted,
        lines=tuple(lines),
        tickets=frozenset(tickets),
        left=deleted or (stays_home and not header["closed"]),
    )


def _line(desk: Desk, line: Mapping[str, Any], products: Mapping[str, str]) -> SnapshotLine:
    codes = desk.rules.codes
    on_order, taken = line["on_order"], line["taken"]
    return SnapshotLine(
        entry_id=line["entry_id"],
        sku=line["sku"],
        product=products.get(sku_key(line["sku"], ignore_case=desk.rules.ignore_case), line["sku"]),
        item_type=line["item_type"],
        holds_stock=line["item_type"] not in codes.without_stock_item_types,
        outstanding=on_order if codes.on_order_is_outstanding else on_order - taken,
        taken=taken,
        unit_price=line["unit_price"],
    )
