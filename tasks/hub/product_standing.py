"""What `tillbridge products` shows: per store what was sent, what is at the till, what is refused and why."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from data_contracts.catalog import till_price
from data_contracts.documents import sku_key
from data_contracts.manifest import batch_name
from tasks.hub.inbox import utc_now
from tasks.hub.known_products import find_products
from tasks.hub.products import read_products
from tasks.hub.schema import catalogs, product_batches, product_exports, products, store_products
from tasks.hub.store_products import AT_TILL, ON_THE_WAY, REFUSED, TO_SEND, make_plan, standing_of
from tasks.settings import Settings

NEVER_SENT = "never_sent"


@dataclass(frozen=True)
class RefusedProduct:
    """A product that a till does not take."""

    sku: str
    rule: str
    message: str
    fix: str
    attempts: int
    since_utc: str
    answered_utc: str


@dataclass(frozen=True)
class TillStanding:
    """Where the hub's products stand at one store's till."""

    store: str
    takes_part: bool
    """Whether products were ever sent to it and still are."""
    at_till: int = 0
    """Products of which the till shows what the hub says."""
    on_the_way: int = 0
    """Sent and not answered yet."""
    refused: int = 0
    to_send: int = 0
    """New or changed and not sent yet: the next export sends them."""
    oldest_utc: str | None = None
    """Since when the oldest of those not yet at the till waits."""
    last_sent_utc: str | None = None
    last_answer_utc: str | None = None
    reasons: tuple[RefusedProduct, ...] = ()
    """The newest refusals."""

    @property
    def not_at_till(self) -> int:
        """Products of which the till does not show what the hub says."""
        return self.on_the_way + self.refused + self.to_send


@dataclass(frozen=True)
class ProductStanding:
    """The catalogue and all tills."""

    products: int
    active: int
    last_file: str
    last_import_utc: str | None
    last_refused: int
    """Products of that file that were left out."""
    stores: tuple[TillStanding, ...]

    @property
    def not_at_till(self) -> int:
        """Of all stores."""
        return sum(store.not_at_till for store in self.stores)


@dataclass(frozen=True)
class ProductAtStore:
    """One product at one store's till."""

    store: str
    state: str
    """at_till, on_the_way, refused, to_send, or never_sent."""
    batch: str
    """The newest batch it was sent in."""
    sent_utc: str | None
    till_utc: str | None
    """When the till last took a revision of it."""
    attempts: int
    waiting_since_utc: str | None
    message: str
    fix: str
    notes: tuple[str, ...]
    """What the till cut or left out."""


@dataclass(frozen=True)
class FoundProduct:
    """One product in the hub; amounts in ten-thousandths."""

    sku: str
    name: str
    active: bool
    codes: tuple[str, ...]
    till_price: int
    department: str
    category: str
    supplier: str
    changed_utc: str
    shadow_of: str
    is_kit: bool
    stores: tuple[ProductAtStore, ...]


def product_standing(
    connection: Connection, settings: Settings, stores: list[str], *, most: int, now: str | None = None
) -> ProductStanding:
    """The catalogue and these stores, `most` refusals of each."""
    total, active = connection.execute(
        select(func.count(), func.count().filter(products.c.active.is_(True))).select_from(products)
    ).one()
    newest = connection.execute(select(catalogs).order_by(catalogs.c.version.desc()).limit(1)).first()
    return ProductStanding(
        products=total,
        active=active,
        last_file=newest.file if newest else "",
        last_import_utc=newest.imported_utc if newest else None,
        last_refused=newest.refused if newest else 0,
        stores=tuple(till_standing(connection, settings, code, most=most, now=now) for code in stores),
    )


def till_standing(
    connection: Connection, settings: Settings, store: str, *, most: int = 0, now: str | None = None
) -> TillStanding:
    """Where the hub's products stand at a store's till; a store that was never sent any takes no part."""
    looked = select(product_exports.c.store).where(product_exports.c.store == store)
    known = connection.execute(looked).first() is not None
    if not known or not settings.catalog.sends_to(store):
        return TillStanding(store, False)
    s, b = store_products.c, product_batches.c
    counts: Counter[str] = Counter()
    oldest: list[str] = []
    for state, found, since in connection.execute(
        select(s.state, func.count(), func.min(s.waiting_since_utc)).where(s.store == store).group_by(s.state)
    ):
        counts[state] = found
        if state != AT_TILL and since:
            oldest.append(since)
    plan = make_plan(connection, settings, store, now=now or utc_now(), retry=False)
    standing = standing_of(connection, store, [entry.key for entry in plan.planned])
    for entry in plan.planned:
        row = standing.get(entry.key)
        if row is None or row["state"] in (AT_TILL, ON_THE_WAY):  # refused stays refused until it is sent
            counts[TO_SEND] += 1
            oldest.append(entry.waiting_since_utc)
            if row is not None:
                counts[row["state"]] -= 1
    counts[AT_TILL] += len(plan.settled)
    counts[REFUSED] -= len(plan.settled) + len(plan.dropped)
    sent, answered = connection.execute(
        select(func.max(b.noted_utc), func.max(b.answered_utc)).where(b.store == store)
    ).one()
    return TillStanding(
        store=store,
        takes_part=True,
        at_till=counts[AT_TILL],
        on_the_way=counts[ON_THE_WAY],
        refused=counts[REFUSED],
        to_send=counts[TO_SEND],
        oldest_utc=min(oldest, default=None),
        last_sent_utc=sent,
        last_answer_utc=answered,
        reasons=_refusals(connection, store, most) if most else (),
    )


def _refusals(connection: Connection, store: str, most: int) -> tuple[RefusedProduct, ...]:
    s = store_products.c
    query = (
        select(store_products)
        .where(s.store == store, s.state == REFUSED)
        .order_by(s.answered_utc.desc(), s.sku_key)
        .limit(most)
    )
    return tuple(
        RefusedProduct(
            row.sku,
            row.rule,
            row.message,
            row.fix,
            row.attempts,
            row.waiting_since_utc or row.sent_utc,
            row.answered_utc,
        )
        for row in connection.execute(query)
    )


def find_product(connection: Connection, settings: Settings, code: str) -> FoundProduct | None:
    """The product that a SKU, UPC or alias names, and where it stands in all stores."""
    ignore_case = settings.hub.skus_ignore_case
    sku = find_products(connection, [code], ignore_case=ignore_case).get(
        sku_key(code.strip(), ignore_case=ignore_case)
    )
    if sku is None:
        return None
    key = sku_key(sku, ignore_case=ignore_case)
    product = read_products(connection, [key])[key]
    return FoundProduct(
        sku=sku,
        name=product["name"],
        active=product["active"],
        codes=tuple(code for code in (product["upc"], *product["aliases"]) if code),
        till_price=till_price(product, settings.catalog.till_price),
        department=product["department_name"] or product["department_code"],
        category=product["category_name"] or product["category_code"],
        supplier=product["supplier_name"] or product["supplier_code"],
        changed_utc=product["changed_utc"],
        shadow_of=product["shadow_of"],
        is_kit=product["is_kit"],
        stores=tuple(_at_store(connection, settings, code, key) for code in sorted(settings.stores)),
    )


def _at_store(connection: Connection, settings: Settings, store: str, key: str) -> ProductAtStore:
    row = standing_of(connection, store, [key]).get(key)
    if row is None:
        return ProductAtStore(store, NEVER_SENT, "", None, None, 0, None, "", "", ())
    plan = make_plan(connection, settings, store, now=utc_now(), retry=False)
    newer = row["state"] != REFUSED and any(entry.key == key for entry in plan.planned)
    sequence = connection.execute(
        select(product_batches.c.sequence).where(
            product_batches.c.store == store, product_batches.c.batch_id == row["sent_batch"]
        )
    ).scalar_one_or_none()
    batch = batch_name(sequence, row["sent_batch"]) if sequence is not None else row["sent_batch"]
    return ProductAtStore(
        store=store,
        state=TO_SEND if newer else row["state"],
        batch=batch,
        sent_utc=row["sent_utc"],
        till_utc=row["till_utc"],
        attempts=row["attempts"],
        waiting_since_utc=row["waiting_since_utc"],
        message=row["message"],
        fix=row["fix"],
        notes=tuple(json.loads(row["notes"])),
    )
