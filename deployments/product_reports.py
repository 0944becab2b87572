"""What the command line says of the catalogue and of where its products stand at the tills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from data_contracts.amounts import counted, show_money
from deployments.output import alike, say, show_table
from deployments.reports import list_texts

if TYPE_CHECKING:
    from tasks.hub.product_standing import FoundProduct, ProductStanding
    from tasks.hub.products import CatalogOutcome
    from tasks.use_cases.exporting_products import ProductExports


def show_catalog(report: CatalogOutcome) -> None:
    """What a catalogue changed in the hub, and what of it was left out."""
    if report.rejected:
        say(f"{report.reasons[0].message} What to do: {report.reasons[0].fix}", indent=0)
        return
    say(
        f"{report.products:,} products are in the catalogue file: {report.created:,} new, "
        f"{report.changed:,} changed ({report.deactivated:,} of them no longer active), "
        f"{report.unchanged:,} as they were, {report.refused:,} left out; "
        f"{report.cleared} tickets left the quarantine because of it.",
        indent=0,
    )
    list_texts("Left out:", tuple(f"{reason.message} What to do: {reason.fix}" for reason in report.reasons))
    list_texts(
        "To look at:",
        tuple(
            f"{reason.message}{f' And {count - 1:,} more like it.' * (count > 1)} What to do: {reason.fix}"
            for count, reason in report.to_look_at
        ),
    )
    if report.ignored:
        say(f"Columns that nothing was taken from: {', '.join(report.ignored)}.", indent=0)
    if report.dry_run:
        click.echo("Dry run: nothing was written.")


def show_product_exports(report: ProductExports) -> None:
    """What each store was sent and has answered."""
    moved = [store for store in report.stores if store.products or store.answered]
    if moved:
        show_table(
            ("store", "sent", "inactive", "batches", "answers", "at the till", "refused"),
            [
                (s.store, s.products, s.inactive, len(s.batches), s.answered, s.at_till, s.refused)
                for s in moved
            ],
        )
    elif not report.failures:
        click.echo("Nothing is to be sent, and no answer has come.")
    for store in report.stores:
        reasons = alike(store.reasons, lambda reason: reason.message)
        list_texts(
            f"{store.store}, refused:",
            tuple(f"{reason.document or 'the batch'}{more}: {reason.message}" for reason, more in reasons),
        )
        if store.skipped:
            say(f"{store.store} takes no part: {store.skipped}.", indent=0)
    if report.dry_run:
        click.echo("Dry run: nothing was sent.")


def show_product_standing(standing: ProductStanding) -> None:
    """The catalogue in a sentence, a row per store, and the newest refusals with what to do."""
    imported = f", last imported {standing.last_import_utc[:16]}" if standing.last_import_utc else ""
    left_out = f" ({standing.last_refused:,} of its products were left out)" if standing.last_refused else ""
    say(
        f"{standing.products:,} products, {standing.active:,} active{imported}{left_out}.",
        indent=0,
    )
    parts = [store for store in standing.stores if store.takes_part]
    if parts:
        show_table(
            ("store", "at till", "on its way", "refused", "to send", "oldest", "answered"),
            [
                (
                    s.store,
                    s.at_till,
                    s.on_the_way,
                    s.refused,
                    s.to_send,
                    _when(s.oldest_utc),
                    _when(s.last_answer_utc),
                )
                for s in parts
            ],
        )
    for store in standing.stores:
        if not store.takes_part:
            say(f"{store.store} was sent no products yet.", indent=0)
        for refused, more in alike(store.reasons, lambda refused: (refused.message, refused.attempts)):
            say(f"{store.store}, {refused.sku}{more}: {refused.message}", bullet="- ")
            say(f"What to do: {refused.fix} (sent {counted(refused.attempts, 'time')})", indent=4)
        if store.refused > len(store.reasons):
            say(f"... and {store.refused - len(store.reasons):,} more of {store.store}", indent=4)


def show_product(code: str, found: FoundProduct | None) -> None:
    """One product in the hub and at every till."""
    if found is None:
        say(f"The hub knows no product with the SKU, UPC or alias `{code}`.", indent=0)
        return
    kind = "".join([", a shadow of " + found.shadow_of if found.shadow_of else "", ", a kit" * found.is_kit])
    say(
        f"{found.sku}: {found.name}, {'active' if found.active else 'inactive'}{kind}; "
        f"{show_money(found.till_price)} at a till.",
        indent=0,
    )
    if found.codes:
        say(f"Found by {', '.join(found.codes)} as well.", indent=0)
    show_table(
        ("store", "state", "sent", "at the till since", "attempts"),
        [
            (s.store, s.state.replace("_", " "), _when(s.sent_utc), _when(s.till_utc), s.attempts)
            for s in found.stores
        ],
    )
    for store in found.stores:
        if store.message:
            say(f"{store.store}: {store.message} What to do: {store.fix}", bullet="- ")
        for note in store.notes:
            say(f"{store.store}: {note}", bullet="- ")


def _when(utc: str | None) -> str:
    """A UTC time in a table, nothing where there is none: `11-23 08:15`."""
    return utc[5:16].replace("T", " ") if utc else ""
