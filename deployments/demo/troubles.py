"""What goes wrong in a shop's week, and how it is put right."""

from __future__ import annotations

import click

from deployments.demo.opening import HISTORY
from deployments.demo.stage import Tally, heading, open_shop, run_export, run_import
from deployments.output import say
from tasks.settings import Settings


def unknown_sku(settings: Settings, tally: Tally) -> None:
    """A cashier sells what the hub has never heard of."""
    from tasks.hub.database import open_hub
    from tasks.hub.quarantine import open_entries

    heading("7", "A cashier in London creates an item at the till and sells it")
    with open_shop(settings, "LONDON") as shop:
        number, sku = shop.ring_unknown_item()
    run_export("LONDON", tally)
    run_import(tally)
    say(f"Ticket {number} has the SKU {sku}, which the hub does not know. It waits, whole:")
    with open_hub(settings.hub_url) as hub:
        for entry in open_entries(hub):
            say(f"{entry.document}: {entry.message}", indent=4, bullet="- ")
            say(f"What to do: {entry.fix}.", indent=6)
    say("The tickets around it were booked; no stock moved for any of its lines.")
    click.echo()


def sweep(settings: Settings, tally: Tally) -> None:
    """The back office corrects a ticket of long ago: only the daily sweep looks that far back."""
    heading("8", "The daily sweep looks at every number, however old")
    number = HISTORY + 1
    with open_shop(settings, "LONDON") as shop:
        tender = shop.correct_tender(number)
    ordinary = run_export("LONDON", tally).tickets
    say(
        f"The back office corrects ticket {number}: it was paid by {tender}. An ordinary export, which "
        f"looks only a little way back, finds {ordinary} tickets; then the sweep runs."
    )
    read = [run_export(code, tally, sweep=True) for code in sorted(settings.stores)]
    imported = run_import(tally)
    seen = sum(batch.seen_before for batch in imported.batches)
    say(
        f"It read {sum(report.tickets for report in read)} tickets and "
        f"{sum(report.orders for report in read)} orders of both shops again: {seen} were in the hub as "
        f"they are and changed nothing, {imported.accepted} had changed and was corrected, "
        f"{imported.quarantined} is still held."
    )
    click.echo()
