"""The longer reports of the command line and the demo."""

from __future__ import annotations

from collections import defaultdict

import click

from data_contracts.amounts import show_money, show_units
from data_contracts.reconciling import Day, Figures
from deployments.output import say, show_table
from tasks.use_cases.reconciling import Reconciliation

MOST_FINDINGS = 40


def show_reconciliation(result: Reconciliation) -> None:
    """A table per store with a row per business date, then what is explained and what is not."""
    for store in result.stores:
        by_date: dict[str, list[Day]] = defaultdict(list)
        for day in store.days:
            by_date[day.business_date].append(day)
        rows = []
        for date, days in sorted(by_date.items()):
            stated = sum((day.store for day in days), Figures())
            apart = sum((day.difference for day in days), Figures())
            rows.append(
                (
                    date,
                    len(days),
                    stated.tickets,
                    show_units(stated.units),
                    show_money(stated.total),
                    sum(day.accepted.tickets for day in days),
                    sum(day.quarantined.tickets + day.pending.tickets for day in days),
                    show_money(apart.total),
                )
            )
        show_table(
            ("date", "Z", "tickets", "units", "money", "in hub", "waiting", "apart"),
            rows,
            title=f"{store.store}: the store's statement against the hub",
        )
    _list("Explained:", result.explained)
    _list("Unexplained:", result.findings)
    say(result.sentence)


def _list(title: str, texts: tuple[str, ...]) -> None:
    if not texts:
        return
    say(title)
    for text in texts[:MOST_FINDINGS]:
        say(text, indent=4, bullet="- ")
    if len(texts) > MOST_FINDINGS:
        say(f"... and {len(texts) - MOST_FINDINGS} more: use --json", indent=4)
    click.echo()
