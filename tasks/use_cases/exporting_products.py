"""Products from the hub to the tills: what changed, as batches; first the tills' answers to earlier ones.

The hub is the publisher of a store's `products` stream. A cycle that finds nothing loads neither pandas
nor great-expectations.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from data_contracts.documents import FILES, STREAM_PRODUCTS
from data_contracts.errors import ContractBroken
from data_contracts.manifest import Acknowledgement, Manifest, Reason, batch_name
from data_contracts.products import MAX_BATCH_PRODUCTS
from tasks import faults
from tasks.exchange import batches
from tasks.exchange.folder import Folder, open_folder
from tasks.hub import store_products
from tasks.hub.database import Hub, open_hub
from tasks.hub.inbox import utc_now
from tasks.hub.registry import configure, is_baselined
from tasks.hub.store_products import OpenBatch, Plan, Planned
from tasks.settings import Settings
from tasks.use_cases.each_store import each_store

logger = logging.getLogger(__name__)

EPOCH = 1
"""The hub's numbers never begin again."""

faults.declare("products.publish", "products.published")


@dataclass(frozen=True)
class ProductExport:
    """What one run told one store, and what the store answered."""

    store: str
    products: int = 0
    """New or changed products sent, the inactive among them."""
    inactive: int = 0
    """Products that the store is to sell no longer."""
    batches: tuple[str, ...] = ()
    answered: int = 0
    """Batches whose answer was booked."""
    at_till: int = 0
    """Products that these answers say are at the till."""
    refused: int = 0
    """Products that these answers refuse."""
    reasons: tuple[Reason, ...] = ()
    """Why, product by product."""
    skipped: str = ""
    """Why the store takes no part; empty if it does."""
    dry_run: bool = False


@dataclass(frozen=True)
class ProductExports:
    """One run over several stores."""

    stores: tuple[ProductExport, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)
    """Store -> the error that stopped it; the other stores went on."""
    dry_run: bool = False

    @property
    def sentence(self) -> str:
        """One sentence on top of it all."""
        sent = sum(store.products for store in self.stores)
        came = sum(store.at_till for store in self.stores)
        refused = sum(store.refused for store in self.stores)
        return (
            f"{sent:,} products sent to {sum(bool(store.products) for store in self.stores)} stores; "
            f"answered since the last run: {came:,} at the till, {refused:,} refused."
        )


def together(looks: Sequence[ProductExport]) -> ProductExport:
    """Several looks at one store in one run, as one."""
    summed = ("products", "inactive", "answered", "at_till", "refused")
    return replace(
        looks[-1],
        batches=tuple(path for look in looks for path in look.batches),
        reasons=tuple(reason for look in looks for reason in look.reasons),
        **{name: sum(getattr(look, name) for look in looks) for name in summed},
    )


def export_products(
    settings: Settings, stores: Sequence[str] = (), *, retry: bool = False, dry_run: bool = False
) -> ProductExports:
    """`export_store_products` for some stores, all by default; one that fails stops no other."""
    done, failures = each_store(
        stores or sorted(settings.stores),
        lambda code: export_store_products(settings, code, retry=retry, dry_run=dry_run),
    )
    return ProductExports(done, failures, dry_run)


def export_store_products(
    settings: Settings, store: str, *, retry: bool = False, dry_run: bool = False, now: str | None = None
) -> ProductExport:
    """Book a store's answers, then publish what differs from what is at its till or on its way there.

    With `retry` what was refused is sent again at once. A dry run says what would be sent, by the answers
    that are booked so far. Raises `HubUnavailable`, `TransferInterrupted`, `ConfigurationError`.
    """
    settings.store(store)
    if not settings.catalog.sends_to(store):
        return ProductExport(store, skipped=f"`send` is off in [catalog.stores.{store}]", dry_run=dry_run)
    at = now or utc_now()
    with open_hub(settings.hub_url) as hub:
        if not dry_run:
            configure(hub, settings)
        with hub.reading() as connection:
            if not is_baselined(connection, store):
                return ProductExport(store, skipped="the store is not baselined yet", dry_run=dry_run)
        answers = [] if dry_run else _take_answers(hub, settings, store, at)
        with hub.reading() as connection:
            plan = store_products.make_plan(connection, settings, store, now=at, retry=retry)
        paths: list[str] = []
        if not dry_run and plan.planned:
            with open_folder(settings) as folder:
                paths = _publish(hub, folder, plan, at)
        elif not dry_run:
            store_products.note_looked(hub, plan, now=at)
    products = [answer for ack in answers for answer in ack.products]
    return ProductExport(
        store=store,
        products=len(plan.planned),
        inactive=sum(not entry.product.active for entry in plan.planned),
        batches=tuple(paths),
        answered=len(answers),
        at_till=sum(answer.at_till for answer in products),
        refused=sum(answer.state == "refused" for answer in products),
        reasons=_reasons(answers),
        dry_run=dry_run,
    )


def _reasons(answers: Sequence[Acknowledgement]) -> tuple[Reason, ...]:
    refused = tuple(
        Reason(document=answer.sku, rule=answer.rule, message=answer.message, fix=answer.fix)
        for ack in answers
        for answer in ack.products
        if answer.state == "refused"
    )
    return refused + tuple(reason for ack in answers if ack.state == "rejected" for reason in ack.reasons)


# -- answers --------------------------------------------------------------------------------------------
def _take_answers(hub: Hub, settings: Settings, store: str, at: str) -> list[Acknowledgement]:
    """Book the answers to batches that have none yet, and settle what became of the others."""
    with hub.reading() as connection:
        waiting = store_products.open_batches(connection, store)
    if not waiting:
        return []
    with open_folder(settings) as folder:
        return _settle(hub, settings, folder, store, waiting, at)


def _settle(
    hub: Hub, settings: Settings, folder: Folder, store: str, waiting: Sequence[OpenBatch], at: str
) -> list[Acknowledgement]:
    """The answers that are there, booked; what was never published or is gone is marked as lost."""
    # Listed before the answers are read: what is archived has been answered.
    listed = dict(_by_batch_id(batches.waiting_batches(folder, store, STREAM_PRODUCTS)))
    answers = []
    for batch in waiting:
        sequence = batch.sequence or _sequence_of(folder, store, batch, listed)
        if sequence is None:  # killed before it was published
            store_products.mark_lost(hub, store, batch.batch_id)
            continue
        if batch.sequence is None:
            store_products.mark_published(hub, store, batch.batch_id, sequence)
        answer = _read_answer(folder, store, sequence, batch.batch_id)
        if answer is not None:
            store_products.book_answer(hub, settings, answer, now=at)
            answers.append(answer)
        elif batch.batch_id not in listed and _long_ago(batch.noted_utc, at):
            logger.warning(
                "%s/products/%s is gone without an answer; its products are sent again",
                store,
                batch_name(sequence, batch.batch_id),
            )
            store_products.mark_lost(hub, store, batch.batch_id)
    return answers


def _by_batch_id(found: Sequence[tuple[int, str]]) -> list[tuple[str, int]]:
    return [(batch_id, sequence) for sequence, batch_id in found]


def _sequence_of(folder: Folder, store: str, batch: OpenBatch, listed: dict[str, int]) -> int | None:
    """The sequence under which a batch was published by a run that could not note it any more."""
    if batch.batch_id in listed:
        return listed[batch.batch_id]
    return dict(_by_batch_id(batches.every_batch(folder, store, STREAM_PRODUCTS))).get(batch.batch_id)


def _read_answer(folder: Folder, store: str, sequence: int, batch_id: str) -> Acknowledgement | None:
    try:
        return batches.read_ack(folder, store, STREAM_PRODUCTS, sequence, batch_id)
    except ContractBroken as error:
        logger.warning("%s", error)
        return None


def _long_ago(noted_utc: str, at: str) -> bool:
    """A share that is still being synchronised may show the archive before the answer."""
    return datetime.fromisoformat(at) - datetime.fromisoformat(noted_utc) > batches.PATIENCE


# -- publishing -----------------------------------------------------------------------------------------
def _publish(hub: Hub, folder: Folder, plan: Plan, at: str) -> list[str]:
    """Publish the plan in batches; each is noted before and marked after."""
    paths = []
    parts = [
        plan.planned[first : first + MAX_BATCH_PRODUCTS]
        for first in range(0, len(plan.planned), MAX_BATCH_PRODUCTS)
    ]
    for number, part in enumerate(parts, start=1):
        batch_id = secrets.token_hex(6)
        store_products.note_batch(hub, plan, part, batch_id, last=number == len(parts), now=at)
        faults.point("products.publish")
        manifest = _publish_batch(folder, plan, part, batch_id, at)
        faults.point("products.published")
        store_products.mark_published(hub, plan.store, batch_id, manifest.sequence)
        paths.append(manifest.path)
    return paths


def _publish_batch(folder: Folder, plan: Plan, part: Sequence[Planned], batch_id: str, at: str) -> Manifest:
    import pandas as pd

    from data_contracts.frames import write_csv
    from tasks.use_cases.store_session import program_version

    rows = {
        "products": [dict(entry.product.row) for entry in part],
        "product_codes": [
            {"store": plan.store, "sku": entry.product.row["sku"], "code": code}
            for entry in part
            for code in entry.product.codes
        ],
    }
    draft = batches.Draft(
        program_version=program_version(),
        store=plan.store,
        epoch=EPOCH,
        stream=STREAM_PRODUCTS,
        created_utc=at,
        documents=len(part),
    )
    content = {}
    for role, columns in FILES[STREAM_PRODUCTS].items():
        frame = pd.DataFrame(rows[role], columns=list(columns), dtype=object)
        content[role] = batches.Content(write_csv(frame, columns), len(frame))
    return batches.publish_batch(folder, draft, content, batch_id=batch_id, above=plan.sequence)
