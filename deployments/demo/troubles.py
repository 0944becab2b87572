"""What goes wrong in a shop's week, and how it is put right."""

from __future__ import annotations

import click

from deployments.demo.opening import HISTORY
from deployments.demo.stage import (
    EXCHANGE,
    Tally,
    heading,
    open_shop,
    run_desk,
    run_export,
    run_import,
    run_resend,
)
from deployments.demo.trading import choose_goods
from deployments.output import say
from tasks.settings import Settings


def unknown_sku(settings: Settings, tally: Tally) -> None:
    """A cashier sells what the hub has never heard of."""
    from tasks.hub.database import open_hub
    from tasks.hub.quarantine import open_entries

    heading("8", "A cashier in London creates an item at the till and sells it")
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


def spoiled_batch(settings: Settings, tally: Tally) -> None:
    """A file is cut short on its way; it is refused whole and sent again."""
    heading("10", "A file is cut short on its way to the hub")
    sku, _, _ = choose_goods(settings)
    with open_shop(settings, "LONDON") as shop:
        rung = [shop.ring_sale([(sku, units)]).number for units in (1, 2, 3)]
    report = run_export("LONDON", tally)
    path = report.batches[0]
    file = EXCHANGE / f"{path}.ticket_lines.csv"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    imported = run_import(tally)
    (reason,) = imported.batches[0].reasons
    say(f"Tickets {rung[0]} to {rung[-1]} travel in {path}, which arrives cut in half:")
    say(reason.message, indent=4, bullet="- ")
    say(f"What to do: {reason.fix}.", indent=6)
    sent = run_resend("LONDON", int(path.rsplit("/", 1)[1].split("-")[0]), tally)
    taken = run_import(tally)
    booked = sum(batch.accepted for batch in taken.batches)
    say(
        f"The flow resend-period reads these tickets anew and publishes {sent.batches[0]}, which says that "
        f"it replaces the spoiled one: {booked} tickets are booked, once."
    )
    click.echo()


def wrong_code(settings: Settings, tally: Tally) -> None:
    """A cashier made an item instead of scanning one: a person says at the hub what was sold."""
    from tasks.hub.database import open_hub
    from tasks.hub.quarantine import open_entries
    from tasks.use_cases.quarantine import show_quarantined

    heading("11", "A ticket that only a person can put right")
    sku, _, _ = choose_goods(settings)
    with open_shop(settings, "LONDON") as shop:
        number, typed = shop.ring_unknown_item()
    run_export("LONDON", tally)
    run_import(tally)
    with open_hub(settings.hub_url) as hub:
        (entry,) = [entry for entry in open_entries(hub) if entry.document.endswith(f"/{number}")]
    say(
        f"A cashier typed {typed} where {sku} lay on the counter. There will never be such a product: at the "
        "hub, the flow release-quarantine lays the right code over the ticket's line and releases it. The "
        "row stays as it was exported; who changed what, and why, is kept in a log that the database refuses "
        "to change:"
    )
    click.echo()
    why = f"{sku} was sold, see the shelf label"
    run_desk("edit", entry.document, why, tally, edits=(f"ticket_lines/1/sku={sku}",))
    run_desk("release", entry.document, why, tally)
    for decision in show_quarantined(settings, entry.document).history:
        say(decision, bullet="- ", indent=4)
    click.echo()
    tally.corrected = (number, typed, sku)


def sweep(settings: Settings, tally: Tally) -> None:
    """The back office corrects a ticket of long ago: only the daily sweep looks that far back."""
    heading("12", "The daily sweep looks at every number, however old")
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
        f"they are and changed nothing, {imported.accepted} had changed and was corrected."
    )
    click.echo()
