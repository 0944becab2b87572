"""What the flows of the catalogue say: what came into the hub, and what went on to the tills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from prefect.logging import get_run_logger

from flows.reporting.pages import MOST_ROWS, dry, more, publish, publish_by_store, stopped, table

if TYPE_CHECKING:
    from tasks.hub.products import CatalogOutcome
    from tasks.use_cases.exporting_products import ProductExports


def show_catalog(outcome: CatalogOutcome) -> None:
    """What a catalogue changed, and every product that was left out; an artifact if there is any of it."""
    log = get_run_logger()
    if outcome.already:
        log.info("the catalogue is the one imported last; %d tickets left the quarantine", outcome.cleared)
        return
    sentence = (
        f"{outcome.products} products: {outcome.created} new, {outcome.changed} changed, "
        f"{outcome.unchanged} unchanged, {outcome.refused} refused; {outcome.cleared} tickets left the "
        "quarantine"
    )
    log.info(sentence)
    if not (outcome.moved or outcome.refused or outcome.cleared):
        return
    parts = [
        "# Catalogue" + dry(outcome.dry_run),
        table(
            ("what", "figure"),
            [
                ("products in the file", outcome.products),
                ("new", outcome.created),
                ("changed", outcome.changed),
                ("of these no longer active", outcome.deactivated),
                ("as they were", outcome.unchanged),
                ("left out", outcome.refused),
                ("tickets that left the quarantine", outcome.cleared),
            ],
        ),
    ]
    if outcome.reasons:
        rows = [(r.message, r.fix) for r in outcome.reasons[:MOST_ROWS]]
        parts += ["## Left out", table(("why", "what to do"), rows)]
        parts += more(len(outcome.reasons), "`tillbridge import-catalog FILE`")
    if outcome.to_look_at:
        parts += [
            "## To look at",
            table(
                ("products", "for example", "what to do"),
                [(count, reason.message, reason.fix) for count, reason in outcome.to_look_at],
            ),
        ]
    if outcome.ignored:
        parts.append("Columns that nothing was taken from: " + ", ".join(outcome.ignored))
    publish("import-catalog", sentence, parts)


def show_product_exports(report: ProductExports) -> None:
    """What each store was sent and has answered: a page for each of which anything moved."""
    log = get_run_logger()
    log.info(report.sentence)
    for store, text in report.failures.items():
        log.error("%s stopped: %s", store, text)
    moved = [store.store for store in report.stores if store.products or store.answered]
    if moved or report.failures:
        stores = dict.fromkeys([*moved, *report.failures])
        publish_by_store("export-products", stores, lambda chosen: _exports_page(report, chosen))


def _exports_page(report: ProductExports, stores: Sequence[str]) -> tuple[str, list[str]]:
    moved = tuple(store for store in report.stores if store.store in stores)
    failures = {store: text for store, text in report.failures.items() if store in stores}
    sentence = replace(report, stores=moved, failures=failures).sentence
    parts = [f"# {sentence}" + dry(report.dry_run)]
    if moved:
        parts.append(
            table(
                ("store", "sent", "of these inactive", "batches", "answers", "at the till", "refused"),
                [
                    (s.store, s.products, s.inactive, _counted(s.batches), s.answered, s.at_till, s.refused)
                    for s in moved
                ],
            )
        )
    reasons = [(store.store, reason) for store in moved for reason in store.reasons]
    if reasons:
        parts += [
            "## Refused at the till",
            table(
                ("store", "product", "why", "what to do"),
                [(s, r.document or "", r.message, r.fix) for s, r in reasons[:MOST_ROWS]],
            ),
            *more(len(reasons), "`tillbridge products`"),
        ]
    return sentence, [*parts, *stopped(failures)]


def _counted(paths: Sequence[str]) -> str:
    """How many batches, and which where they are few."""
    return str(len(paths)) if len(paths) != 1 else f"`{paths[0]}`"
