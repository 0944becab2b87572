"""Books judged tickets: orders, ledger and payments, and what follows for orders linked to them.

Everything is written as sets, and only the difference to what was booked before reaches the ledger. A
pick-up has no order of its own: its money, goods and number go to the layaway or backorder it picks up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd
from sqlalchemy import bindparam, update

from data_contracts.amounts import format_amount
from data_contracts.posting import own_movements, reversed_movements, rounded
from data_contracts.statuses import OrderStatus, PaymentStatus, ShippingStatus
from tasks import faults
from tasks.hub.bulk import delete_for, fetch_for, load, upsert
from tasks.hub.candidates import Candidate, Gathered
from tasks.hub.derived import describe, recompute, snapshot
from tasks.hub.desk import Desk
from tasks.hub.ledger import paid_by_target, post_movements, post_payments, posted_movements
from tasks.hub.recording import PLACES, record_documents
from tasks.hub.schema import columns_of, documents, order_lines, orders, pickup_lines
from tasks.hub.setting_aside import set_aside
from tasks.hub.settling import Settled, settle
from tasks.hub.ticket_candidates import linked_document, recalled_order, voids_of

faults.declare("hub.orders.orders")


def book(desk: Desk, found: Gathered, *, told_by_caller: Collection[str] = ()) -> Settled:
    """Settle and write: documents, quarantine, orders, ledger, payments, and what follows for others.

    No event is left for the orders of `told_by_caller`.
    """
    settled = settle(found)
    posting = _postings(desk, found, settled)
    redated = record_documents(desk, found, settled, posting)
    set_aside(desk, found, settled)
    _write_orders(desk, found, settled, posting, told_by_caller)
    _redate(desk, redated)
    return settled


def _postings(desk: Desk, found: Gathered, settled: Settled) -> dict[str, dict[str, Any]]:
    """What booking fixes for each booked document: number of the posting, places, order and link."""
    links = {c.document: linked_document(desk, c.ticket) for c in settled.booked}
    orders_of = {c.document: recalled_order(desk, c) for c in settled.booked if c.ticket["kind"] == "pickup"}
    linked = {link for link in links.values() if link is not None}
    order_of = {
        row["document"]: row["order_id"]
        for row in fetch_for(desk.connection, documents, "document", linked)
        if row["order_id"] is not None
    } | orders_of
    voids = [c.document for c in settled.booked if c.ticket["kind"] == "void" and not c.before_baseline]
    targets = {links[name] for name in voids} - {None}
    distant = {t for t in targets if t is not None} | set(orders_of.values())
    places = {
        row["document"]: {key: row[key] for key in PLACES}
        for row in fetch_for(desk.connection, documents, "document", distant)
        if row["postings"]
    }
    place = desk.placement
    own = dict(zip(PLACES, (place.warehouse, place.rule, place.returns_to, place.returns_rule), strict=True))
    found_places: dict[str, dict[str, Any]] = {}
    for candidate in sorted(settled.booked, key=lambda c: c.ticket["kind"] == "void"):
        current = found.current.get(candidate.document)
        times = current["postings"] if current is not None else 0
        target = links[candidate.document]
        order = orders_of.get(candidate.document)
        if candidate.document in voids and target is not None:
            fixed = found_places.get(target) or places.get(target) or own
        elif order is not None:
            # What was reserved leaves from where it was reserved.
            fixed = places.get(order) or own
        elif current is not None and times:
            fixed = {key: current[key] for key in PLACES}
        else:
            fixed = own
        found_places[candidate.document] = {key: fixed[key] for key in PLACES} | {
            "posting": times + 1,
            "kind": candidate.ticket["kind"],
            "occurred_at": candidate.ticket["occurred_at"],
            "order_id": order or candidate.document,
            "link": target,
            "link_order": order_of.get(target, target) if target is not None else None,
            "reverses": target if candidate.document in voids else None,
        }
    return found_places


ORDER_COLUMNS = (
    "order_id",
    "store",
    "epoch",
    "kind",
    "source_order_id",
    "company",
    "channel",
    "order_type",
    "order_status",
    "payment_status",
    "shipping_status",
    "ordered_at_utc",
    "shipped_at_utc",
    "business_date",
    "customer",
    "customer_name",
    "warehouse",
    "tax",
    "total",
    "rounding",
    "paid",
    "refunded",
    "refundable",
    "refunds",
    "linked_order",
    "linked_document",
    "flags",
)
LINE_COLUMNS = columns_of(order_lines)
PICKUP_COLUMNS = columns_of(pickup_lines)


def _write_orders(
    desk: Desk,
    found: Gathered,
    settled: Settled,
    posting: dict[str, dict[str, Any]],
    told_by_caller: Collection[str],
) -> None:
    if not settled.booked:
        return
    faults.point("hub.orders.orders")
    revised = {c.document for c in settled.booked if posting[c.document]["posting"] > 1}
    old = {row["order_id"]: row for row in fetch_for(desk.connection, orders, "order_id", revised)}
    followers = _followers(desk, revised, posting)
    booked = {c.candidate: c for c in settled.booked}
    tickets = pd.DataFrame(
        [
            {"candidate": at, "document": c.document} | {k: posting[c.document][k] for k in ("kind", *PLACES)}
            for at, c in booked.items()
        ]
    )
    all_lines = found.frames["ticket_lines"]
    lines = all_lines[all_lines["candidate"].isin(list(booked))]
    paid = _post(desk, settled, posting, tickets, lines, revised | set(followers))
    _link_anew(desk, posting)
    touched = _touched(desk, posting, old)
    shown_before = snapshot(desk, touched)
    _write_order_rows(desk, settled, posting, paid)
    _write_lines(desk, booked, posting, lines, revised)
    for name, amount in paid.items():
        if name in followers:
            desk.connection.execute(update(orders).where(orders.c.order_id == name).values(paid=amount))
    recompute(desk, touched)
    shown_after = snapshot(desk, touched - set(told_by_caller))
    _tell(desk, settled, posting, shown_before, shown_after)


def _link_anew(desk: Desk, posting: Mapping[str, Mapping[str, Any]]) -> None:
    """Returns and voids that came before their pick-up was booked are linked to its order now."""
    moved = {name: of["order_id"] for name, of in posting.items() if of["order_id"] != name}
    if moved:
        o = orders.c
        desk.connection.execute(
            update(orders).where(o.linked_document == bindparam("of")).values(linked_order=bindparam("to")),
            [{"of": name, "to": order} for name, order in sorted(moved.items())],
        )


def _followers(desk: Desk, revised: set[str], posting: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Voids booked earlier whose ticket is revised now: void -> ticket. They are posted along with it."""
    followers = {void: name for name, void in voids_of(desk, revised).items() if void not in posting}
    times = {
        row["order_id"]: row["ordered_at_utc"]
        for row in fetch_for(desk.connection, orders, "order_id", followers)
    }
    for row in fetch_for(desk.connection, documents, "document", followers):
        name, ticket = row["document"], followers[row["document"]]
        posting[name] = {key: row[key] for key in PLACES} | {
            "posting": row["postings"] + 1,
            "kind": "void",
            "occurred_at": times[name],
            "order_id": name,
            "link": ticket,
            "link_order": posting[ticket]["order_id"],
            "reverses": ticket,
        }
        desk.connection.execute(
            update(documents).where(documents.c.document == name).values(postings=row["postings"] + 1)
        )
    return followers


def _post(
    desk: Desk,
    settled: Settled,
    posting: dict[str, dict[str, Any]],
    tickets: pd.DataFrame,
    lines: pd.DataFrame,
    again: set[str],
) -> dict[str, int]:
    """Bring ledger and payments in line; returns what is paid on each document's order."""
    reverses = {name: of["reverses"] for name, of in posting.items() if of["reverses"] is not None}
    own = tickets[~tickets["document"].isin(list(reverses))]
    desired = own_movements(own, lines)
    totals = {c.document: int(c.ticket["total"]) for c in settled.booked}
    posted = posted_movements(desk, again)
    if reverses:
        known = set(own["document"].tolist())
        distant = [target for target in reverses.values() if target not in known]
        sources = pd.concat(
            [desired[desired["document"].isin(list(reverses.values()))], posted_movements(desk, distant)]
        )
        turned = reversed_movements(sources, {target: name for name, target in reverses.items()})
        desired = pd.concat([desired, turned], ignore_index=True)
        at_target = paid_by_target(desk, distant)
        for name, target in reverses.items():
            totals[name] = -(totals[target] if target in known else at_target[target])
    post_movements(desk, desired, posted, posting)
    post_payments(desk, totals, posting, again)
    return totals


def _touched(
    desk: Desk, posting: Mapping[str, Mapping[str, Any]], old: Mapping[str, Mapping[str, Any]]
) -> set[str]:
    """Orders whose derived fields may change: the booked, their links, and the links of those voided."""
    touched = {of["order_id"] for of in posting.values()} | {of["link_order"] for of in posting.values()}
    touched |= {row["linked_order"] for row in old.values()}
    voided = {of["link_order"] for of in posting.values() if of["reverses"] is not None} | {
        row["linked_order"] for row in old.values() if row["kind"] == "void"
    }
    distant = {name for name in voided if name is not None}
    touched |= {row["linked_order"] for row in fetch_for(desk.connection, orders, "order_id", distant)}
    return {name for name in touched if name is not None}


def _write_order_rows(
    desk: Desk, settled: Settled, posting: dict[str, dict[str, Any]], paid: dict[str, int]
) -> None:
    rows = []
    for candidate in settled.booked:
        ticket, of = candidate.ticket, posting[candidate.document]
        if of["kind"] == "pickup":
            continue
        rounding = ticket["total"] - rounded(ticket["come_to"])
        flags = [flag for flag in ticket["flags"].split(";") if flag]
        flags += ["rounding"] if rounding else []
        flags += ["before_baseline"] if candidate.before_baseline else []
        comes_back = of["kind"] == "return"
        rows.append(
            (
                candidate.document,
                desk.store,
                ticket["epoch"],
                of["kind"],
                str(ticket["number"]),
                desk.company,
                desk.channel,
                "retail",
                int(OrderStatus.Completed),
                int(PaymentStatus.Charged),
                int(ShippingStatus.FullyShipped),
                ticket["occurred_at"],
                ticket["occurred_at"],
                ticket["business_date"],
                desk.customer,
                desk.customer_name,
                of["returns_to"] if comes_back else of["warehouse"],
                ticket["tax"],
                ticket["total"],
                rounding,
                paid[candidate.document],
                0,
                ticket["refundable"],
                ticket["refunds"],
                of["link_order"],
                of["link"],
                ";".join(flags),
            )
        )
        if rounding:
            desk.log.add("rounding_accepted", order_id=candidate.document, amount=format_amount(rounding))
        if candidate.before_baseline:
            desk.log.add("before_baseline", order_id=candidate.document, recalled=ticket["recall_id"])
    upsert(desk.connection, orders, ORDER_COLUMNS, rows, update=ORDER_COLUMNS[1:])


def _write_lines(
    desk: Desk,
    booked: dict[int, Candidate],
    posting: dict[str, dict[str, Any]],
    lines: pd.DataFrame,
    revised: set[str],
) -> None:
    delete_for(desk.connection, order_lines, "order_id", revised)
    delete_for(desk.connection, pickup_lines, "document", revised)
    columns = ("candidate", "line", "product", "sku", "item_type", "quantity", "unit_price", "tax")
    rows = []
    picked_up = []
    for at, line, product, sku, item_type, quantity, price, tax in zip(
        *(lines[name].tolist() for name in columns), strict=True
    ):
        name = booked[at].document
        of = posting[name]
        if of["kind"] == "pickup":
            # Which line of the order it fills follows from all pick-ups of the order.
            picked_up.append(
                (name, line, 1, of["order_id"], None, product or sku, sku, item_type, quantity, price, tax)
            )
            continue
        leaves = (quantity >= 0) != (of["kind"] == "void")
        place = of["warehouse"] if leaves else of["returns_to"]
        rows.append(
            (name, line, product or sku, sku, item_type, quantity, 0, 0, quantity, 0, price, tax, place)
        )
    load(desk.connection, order_lines, LINE_COLUMNS, rows)
    load(desk.connection, pickup_lines, PICKUP_COLUMNS, picked_up)


def _redate(desk: Desk, redated: Sequence[Candidate]) -> None:
    """Orders whose ticket came again, the same but for its date or time; what was posted stays as it is."""
    shown = snapshot(desk, (c.document for c in redated)) if redated else {}
    for candidate in sorted(redated, key=lambda c: c.document):
        if candidate.document not in shown:  # a pick-up has no order of its own
            recompute(desk, [recalled_order(desk, candidate)])
            continue
        ticket = candidate.ticket
        dates = {"business_date": ticket["business_date"], "ordered_at_utc": ticket["occurred_at"]}
        desk.connection.execute(
            update(orders)
            .where(orders.c.order_id == candidate.document)
            .values(**dates, shipped_at_utc=ticket["occurred_at"])
        )
        payload = describe(shown[candidate.document]) | dates
        desk.log.add("order_changed", order_id=candidate.document, **payload)


def _tell(
    desk: Desk,
    settled: Settled,
    posting: dict[str, dict[str, Any]],
    before: dict[str, tuple[Any, ...]],
    after: dict[str, tuple[Any, ...]],
) -> None:
    """Events of orders created and changed, in the order of their ids."""
    revised = {c.document for c in settled.booked if posting[c.document]["posting"] > 1}
    revisions = {c.document: c.revision for c in settled.booked}
    for name in sorted(revised - after.keys()):
        of = posting[name]
        desk.log.add("ticket_revised", document=name, order_id=of["order_id"], revision=revisions[name])
    for name in sorted(after):
        if name in revised:
            desk.log.add("ticket_revised", document=name, order_id=name, revision=revisions[name])
        if name not in before:
            desk.log.add("order_created", document=name, order_id=name, **describe(after[name]))
        elif before[name] != after[name] or name in revised:
            desk.log.add("order_changed", order_id=name, **describe(after[name]))
