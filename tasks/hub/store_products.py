"""Where each product stands at each store's till: what to send, what is on its way, what was answered.

A batch is noted here before it is published and marked when it is, so that a run that was killed in between
is understood by the next one. Whatever happens, a product is at worst sent twice, which a till answers
with `unchanged`. Nothing here looks into the exchange folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from data_contracts.catalog import TillProduct, TillRules, till_product
from data_contracts.documents import sku_key
from data_contracts.manifest import Acknowledgement, ProductAnswer
from data_contracts.products import REVISION_VERSION
from tasks import faults
from tasks.hub.bulk import fetch_for, insert_one, upsert
from tasks.hub.database import Hub, lock_store
from tasks.hub.events import EventLog
from tasks.hub.known_products import catalog_version
from tasks.hub.products import read_products
from tasks.hub.schema import columns_of, product_batches, product_exports, products, store_products
from tasks.settings import Settings

log = logging.getLogger(__name__)

ON_THE_WAY = "on_the_way"
AT_TILL = "at_till"
REFUSED = "refused"
TO_SEND = "to_send"

RULE_REJECTED = "batch_rejected"
RULE_NOT_ANSWERED = "not_answered"
MAX_PAUSE = timedelta(days=1)
"""The longest that a refused product waits to be sent again."""

COLUMNS = columns_of(store_products)

faults.declare(
    "hub.products.noting.before_commit",
    "hub.products.noting.after_commit",
    "hub.products.publishing.before_commit",
    "hub.products.publishing.after_commit",
    "hub.products.answering.before_commit",
    "hub.products.answering.after_commit",
    "hub.products.losing.before_commit",
    "hub.products.losing.after_commit",
    "hub.products.looking.before_commit",
    "hub.products.looking.after_commit",
)


@dataclass(frozen=True)
class OpenBatch:
    """A batch of products that is not answered yet."""

    batch_id: str
    sequence: int | None
    """None while it is not known whether it was published."""
    noted_utc: str
    products: int


@dataclass(frozen=True)
class Planned:
    """A product to be sent to a store."""

    key: str
    product: TillProduct
    waiting_since_utc: str


@dataclass(frozen=True)
class Plan:
    """What a store's till is to be sent, and what was looked at to find out."""

    store: str
    catalog: int
    """Version of the catalogue that was looked at."""
    rules: str
    due: bool
    """Whether `catalog` and `rules` are to be noted as looked at."""
    sequence: int
    """The highest of a batch that the store was sent, 0 if none; a new exchange folder knows of none."""
    planned: tuple[Planned, ...] = ()
    settled: tuple[str, ...] = ()
    """Refused products that are again as the till shows them."""
    dropped: tuple[str, ...] = ()
    """Products the till never had and that the store no longer sells."""


# -- planning -------------------------------------------------------------------------------------------
def make_plan(connection: Connection, settings: Settings, store: str, *, now: str, retry: bool) -> Plan:
    """What differs from what is at the till and on its way; a few small queries where nothing does.

    With `retry` refused products are sent at once, without waiting for their turn.
    """
    rules = settings.catalog.rules(store)
    said = _said(rules)
    version = catalog_version(connection)
    looked = connection.execute(select(product_exports).where(product_exports.c.store == store)).first()
    everything = looked is None or looked.rules != said
    keys = _due_again(connection, settings, store, now, retry)
    if not everything and looked is not None and version > looked.catalog:
        newer = select(products.c.sku_key).where(products.c.changed_version > looked.catalog)
        keys |= set(connection.execute(newer).scalars())
    b = product_batches.c
    taken = select(func.coalesce(func.max(b.sequence), 0)).where(b.store == store)
    sequence = connection.execute(taken).scalar_one()
    due = everything or (looked is not None and version != looked.catalog)
    if not (everything or keys):
        return Plan(store, version, said, due, sequence)
    found = read_products(connection, None if everything else sorted(keys))
    standing = standing_of(connection, store, found)
    planned, settled, dropped = [], [], []
    for key, product in sorted(found.items()):
        wanted = till_product(store, product["sku"], product, rules)
        now_at = standing.get(key)
        verdict = _decide(wanted, now_at, again=key in keys)
        if verdict == "send":
            since = product["changed_utc"] if not everything else now
            waiting = now_at["waiting_since_utc"] if now_at is not None else None
            planned.append(Planned(key, wanted, waiting or since or now))
        elif verdict == "settle":
            settled.append(key)
        elif verdict == "drop":
            dropped.append(key)
    return Plan(store, version, said, due, sequence, tuple(planned), tuple(settled), tuple(dropped))


def standing_of(connection: Connection, store: str, keys: Collection[str]) -> dict[str, dict[str, Any]]:
    """Compared SKU -> row of `store_products`, of those keys that have one."""
    rows = fetch_for(connection, store_products, "sku_key", keys)
    return {row["sku_key"]: row for row in rows if row["store"] == store}


def _said(rules: TillRules) -> str:
    # Another form of the revision asks for another look at everything, too.
    return hashlib.sha256(json.dumps([REVISION_VERSION, asdict(rules)]).encode()).hexdigest()[:32]


def _due_again(connection: Connection, settings: Settings, store: str, now: str, retry: bool) -> set[str]:
    """Products that are to be sent although they have not changed."""
    s = store_products.c
    waiting = connection.execute(
        select(s.sku_key, s.state, s.attempts, s.answered_utc).where(
            s.store == store, s.state.in_((TO_SEND, REFUSED))
        )
    )
    pause = timedelta(minutes=settings.catalog.retry_refused_minutes)
    at = datetime.fromisoformat(now)
    return {
        row.sku_key
        for row in waiting
        if retry
        or row.state == TO_SEND
        or at >= datetime.fromisoformat(row.answered_utc) + _pause(pause, row.attempts)
    }


def _pause(first: timedelta, attempts: int) -> timedelta:
    """Twice as long after each attempt, so that what nobody mends does not travel every hour for ever."""
    longest = max(MAX_PAUSE, first)
    return min(first * (1 << min(max(attempts - 1, 0), 20)), longest)


def _decide(wanted: TillProduct, now: Mapping[str, Any] | None, *, again: bool) -> str:
    """`send`, `settle`, `drop` or nothing for a product as it is wanted and as it stands."""
    if now is None:
        return "send" if wanted.active else ""
    if now["state"] == ON_THE_WAY:
        return "send" if wanted.revision != now["sent_revision"] else ""
    if now["state"] == AT_TILL:
        return "send" if wanted.revision != now["till_revision"] else ""
    if now["state"] == TO_SEND:  # whether the till has it is not known
        return "send"
    # A batch may have been written in part before its file was spoiled or its answer cut.
    if now["rule"] in (RULE_NOT_ANSWERED, RULE_REJECTED):
        return "send" if again or wanted.revision != now["sent_revision"] else ""
    # Refused: the till shows what it showed before, if anything.
    if now["till_revision"] is None and not wanted.active:
        return "drop"
    if wanted.revision == now["till_revision"]:
        return "settle"
    return "send" if again or wanted.revision != now["sent_revision"] else ""


# -- sending --------------------------------------------------------------------------------------------
def note_batch(
    hub: Hub, plan: Plan, planned: Sequence[Planned], batch_id: str, *, last: bool, now: str
) -> None:
    """Note that a batch of these products is about to be published; with the `last` one the plan is done."""
    with hub.writing("hub.products.noting.before_commit", "hub.products.noting.after_commit") as connection:
        lock_store(connection, plan.store)
        if planned:
            insert_one(
                connection,
                product_batches,
                store=plan.store,
                batch_id=batch_id,
                sequence=None,
                state="noted",
                products=len(planned),
                at_till=0,
                refused=0,
                noted_utc=now,
                answered_utc=None,
            )
            standing = standing_of(connection, plan.store, {entry.key for entry in planned})
            rows = [_sent(plan.store, entry, standing.get(entry.key), batch_id, now) for entry in planned]
            upsert(connection, store_products, COLUMNS, rows, update=COLUMNS[2:])
        if last:
            _looked_at(connection, plan, now)


def note_looked(hub: Hub, plan: Plan, *, now: str) -> None:
    """Note that everything up to this catalogue was looked at and nothing of it is to be sent."""
    if not (plan.due or plan.settled or plan.dropped):
        return
    with hub.writing("hub.products.looking.before_commit", "hub.products.looking.after_commit") as connection:
        lock_store(connection, plan.store)
        _looked_at(connection, plan, now)


def _looked_at(connection: Connection, plan: Plan, now: str) -> None:
    s = store_products.c
    if plan.settled:
        for key in plan.settled:
            connection.execute(
                update(store_products)
                .where(s.store == plan.store, s.sku_key == key, s.state == REFUSED)
                .values(state=AT_TILL, waiting_since_utc=None, attempts=0, rule="", message="", fix="")
            )
    for key in plan.dropped:
        connection.execute(
            delete(store_products).where(s.store == plan.store, s.sku_key == key, s.state == REFUSED)
        )
    row = (plan.store, plan.catalog, plan.rules, now)
    upsert(
        connection,
        product_exports,
        ("store", "catalog", "rules", "exported_utc"),
        [row],
        update=("catalog", "rules", "exported_utc"),
    )


def _sent(
    store: str, entry: Planned, before: Mapping[str, Any] | None, batch_id: str, now: str
) -> tuple[Any, ...]:
    kept = before or {
        "till_revision": None,
        "till_sequence": None,
        "till_utc": None,
        "attempts": 0,
        "rule": "",
        "message": "",
        "fix": "",
        "notes": "[]",
        "answered_utc": None,
        "sent_revision": "",
    }
    same = kept["sent_revision"] == entry.product.revision
    row = {
        **kept,
        "store": store,
        "sku_key": entry.key,
        "sku": entry.product.row["sku"],
        "state": ON_THE_WAY,
        "sent_revision": entry.product.revision,
        "sent_batch": batch_id,
        "sent_utc": now,
        "attempts": kept["attempts"] + 1 if same else 1,
        "waiting_since_utc": entry.waiting_since_utc,
    }
    return tuple(row[name] for name in COLUMNS)


def mark_published(hub: Hub, store: str, batch_id: str, sequence: int) -> None:
    """Note that a batch stands in the exchange folder under this sequence."""
    s, b = store_products.c, product_batches.c
    with hub.writing(
        "hub.products.publishing.before_commit", "hub.products.publishing.after_commit"
    ) as connection:
        lock_store(connection, store)
        connection.execute(
            update(product_batches)
            .where(b.store == store, b.batch_id == batch_id, b.state.in_(("noted", "lost")))
            .values(state="published", sequence=sequence)
        )
        # Another run may have taken it for lost in the meantime.
        connection.execute(
            update(store_products)
            .where(s.store == store, s.sent_batch == batch_id, s.state == TO_SEND)
            .values(state=ON_THE_WAY)
        )


def mark_lost(hub: Hub, store: str, batch_id: str) -> None:
    """Note that a batch was never published, or is gone without an answer: its products are sent again."""
    s, b = store_products.c, product_batches.c
    with hub.writing("hub.products.losing.before_commit", "hub.products.losing.after_commit") as connection:
        lock_store(connection, store)
        connection.execute(
            update(product_batches)
            .where(b.store == store, b.batch_id == batch_id, b.state.in_(("noted", "published")))
            .values(state="lost")
        )
        connection.execute(
            update(store_products)
            .where(s.store == store, s.sent_batch == batch_id, s.state == ON_THE_WAY)
            .values(state=TO_SEND)
        )


def open_batches(connection: Connection, store: str) -> list[OpenBatch]:
    """Batches that are not answered yet, oldest first."""
    b = product_batches.c
    query = (
        select(product_batches)
        .where(b.store == store, b.state.in_(("noted", "published")))
        .order_by(b.noted_utc, b.sequence, b.batch_id)
    )
    return [
        OpenBatch(row.batch_id, row.sequence, row.noted_utc, row.products)
        for row in connection.execute(query)
    ]


# -- answers --------------------------------------------------------------------------------------------
def book_answer(hub: Hub, settings: Settings, ack: Acknowledgement, *, now: str) -> None:
    """Book what a till says of one batch, in one transaction; an answer that is booked already stays."""
    ignore_case = settings.hub.skus_ignore_case
    b, s = product_batches.c, store_products.c
    with hub.writing(
        "hub.products.answering.before_commit", "hub.products.answering.after_commit"
    ) as connection:
        lock_store(connection, ack.store)
        open_batch = connection.execute(
            select(b.state).where(b.store == ack.store, b.batch_id == ack.batch_id)
        ).scalar_one()
        if open_batch not in ("noted", "published", "lost"):
            return
        answers = {sku_key(answer.sku, ignore_case=ignore_case): answer for answer in ack.products}
        sent = connection.execute(
            select(store_products).where(s.store == ack.store, s.sent_batch == ack.batch_id)
        ).mappings()
        standing = {row["sku_key"]: dict(row) for row in sent}
        standing |= standing_of(connection, ack.store, answers.keys() - standing.keys())
        events = EventLog(ack.store, now, f"{ack.store}/{ack.stream}/{ack.sequence:06d}-{ack.batch_id}")
        if ack.state == "rejected":
            reason = ack.reasons[0] if ack.reasons else None
            told = (reason.message, reason.fix) if reason else ("The store rejected the batch.", "")
            rows = [_rejected(row, ack, told, now) for row in standing.values()]
            events.add("product_batch_rejected", products=len(rows), message=told[0])
        else:
            rows = [_answered(row, answers.get(key), ack, events, now) for key, row in standing.items()]
        upsert(
            connection,
            store_products,
            COLUMNS,
            [tuple(row[name] for name in COLUMNS) for row in sorted(rows, key=lambda row: row["sku_key"])],
            update=COLUMNS[2:],
        )
        connection.execute(
            update(product_batches)
            .where(b.store == ack.store, b.batch_id == ack.batch_id)
            .values(
                state="rejected" if ack.state == "rejected" else "answered",
                sequence=ack.sequence,
                at_till=sum(answer.at_till for answer in ack.products),
                refused=sum(answer.state == "refused" for answer in ack.products),
                answered_utc=ack.acknowledged_utc,
            )
        )
        events.write(connection)
    log.info(
        "%s/%s/%06d answered: %s, %d products",
        ack.store,
        ack.stream,
        ack.sequence,
        ack.state,
        len(ack.products),
    )


def _rejected(row: dict[str, Any], ack: Acknowledgement, told: tuple[str, str], now: str) -> dict[str, Any]:
    if row["sent_batch"] != ack.batch_id:
        return row
    return row | {
        "state": REFUSED,
        "rule": RULE_REJECTED,
        "message": f"The store rejected the whole batch: {told[0]}",
        "fix": told[1],
        "answered_utc": now,
    }


def _answered(
    row: dict[str, Any], answer: ProductAnswer | None, ack: Acknowledgement, events: EventLog, now: str
) -> dict[str, Any]:
    newest = row["sent_batch"] == ack.batch_id
    changed: dict[str, Any] = {}
    if answer is not None and answer.at_till and ack.sequence >= (row["till_sequence"] or 0):
        if answer.revision != row["till_revision"]:
            events.add("product_at_till", sku=row["sku"], state=answer.state, notes=list(answer.notes))
        changed |= {
            "till_revision": answer.revision,
            "till_sequence": ack.sequence,
            "till_utc": ack.acknowledged_utc,
            "notes": json.dumps(answer.notes, ensure_ascii=False),
        }
    if not newest:  # a newer one is on its way or answered
        return row | changed
    changed["answered_utc"] = now  # the hub's clock: a refused product is sent again by it
    if answer is None or answer.state == "refused":
        why = {
            "rule": answer.rule if answer else RULE_NOT_ANSWERED,
            "message": answer.message if answer else "The store's answer does not name this product.",
            "fix": answer.fix if answer else "It is sent again by itself.",
        }
        if why != {name: row[name] for name in why}:  # each refusal is told once, not with every attempt
            events.add("product_refused", sku=row["sku"], rule=why["rule"], message=why["message"])
        return row | changed | why | {"state": REFUSED}
    if answer.state == "superseded":  # the till had a newer batch already, perhaps without this product
        return row | changed | {"state": TO_SEND}
    fits = (row | changed)["till_revision"] == row["sent_revision"]
    return (
        row
        | changed
        | {"rule": "", "message": "", "fix": "", "attempts": 0}
        | ({"state": AT_TILL, "waiting_since_utc": None} if fits else {"state": TO_SEND})
    )
