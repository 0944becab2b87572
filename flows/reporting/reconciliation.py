"""What reconcile says: where the stores' tickets are, drawn where that says more, and every finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from prefect.logging import get_run_logger

from data_contracts.amounts import counted, show_money, show_units
from flows.reporting.pages import MOST_ROWS, lean_table, more, publish_by_store

if TYPE_CHECKING:
    from data_contracts.reconciling import ReconcileReport
    from tasks.use_cases.reconciling import Reconciliation

BOOKED = "booked"
MOST_DRAWN = 12
"""Stores in the picture; those with something to look at come first."""


def show_reconciliation(result: Reconciliation) -> None:
    """The comparison of each store, day by day, and every finding by name: a page for each store."""
    get_run_logger().info(result.sentence)
    stores = [*(report.store for report in result.stores), *result.without_statement]
    publish_by_store("reconcile", stores, lambda chosen: _page(result, chosen))


def _page(result: Reconciliation, stores: Sequence[str]) -> tuple[str, list[str]]:
    chosen = replace(
        result,
        stores=tuple(report for report in result.stores if report.store in stores),
        without_statement=tuple(code for code in result.without_statement if code in stores),
        lacking={code: texts for code, texts in result.lacking.items() if code in stores},
    )
    parts = [f"# Reconciliation of {', '.join(stores)}", f"**{chosen.sentence}**"]
    parts += _picture(chosen.stores)
    if len(chosen.stores) > 1:
        parts.append(_store_table(chosen.stores))
    elif chosen.stores:
        parts.append(_day_table(chosen.stores[0]))
    for title, texts in (("## Unexplained", chosen.findings), ("## Explained", chosen.explained)):
        if texts:
            parts += [title, "\n".join(f"- {text}" for text in texts[:MOST_ROWS])]
            parts += more(len(texts), "`tillbridge reconcile`")
    return chosen.sentence, parts


def where_tickets_are(report: ReconcileReport) -> dict[str, int]:
    """How many of a store's stated tickets are where; those that are nowhere last."""
    days = report.days
    return {
        BOOKED: sum(day.accepted.tickets for day in days),
        "quarantined": sum(day.quarantined.tickets for day in days),
        "pending": sum(day.pending.tickets for day in days),
        "discarded": sum(day.discarded.tickets for day in days),
        "missing": sum(numbers.count for numbers in report.missing),
    }


def _picture(reports: Sequence[ReconcileReport]) -> list[str]:
    """Where the tickets went, as a diagram; none where all are booked, for then the table says it."""
    apart = {report.store: _apart(report) for report in reports}
    if not any(apart.values()):
        return []
    drawn = sorted(reports, key=lambda report: -apart[report.store])[:MOST_DRAWN]
    return ["\n".join(["```mermaid", *_diagram(drawn), "```"])]


def _apart(report: ReconcileReport) -> int:
    """Tickets that are not simply booked."""
    return sum(count for place, count in where_tickets_are(report).items() if place != BOOKED)


def _diagram(reports: Sequence[ReconcileReport]) -> Iterator[str]:
    used = set()
    yield "flowchart LR"
    for index, report in enumerate(reports):
        stated = counted(sum(day.store.tickets for day in report.days), "ticket")
        yield f'  s{index}["{report.store} states {stated}"]'
        for place, count in where_tickets_are(report).items():
            if count:
                used.add(place)
                yield f'  s{index} -- "{count}" --> {place}'
    if "missing" in used:
        yield "  classDef bad fill:#f8d7da,stroke:#b02a37,color:#58151c"
        yield "  class missing bad"


def _store_table(reports: Sequence[ReconcileReport]) -> str:
    return lean_table(
        ("store", "states", *where_tickets_are(reports[0]), "units", "money", "unexplained"),
        [
            (
                report.store,
                sum(day.store.tickets for day in report.days),
                *where_tickets_are(report).values(),
                show_units(sum(day.store.units for day in report.days)),
                show_money(sum(day.store.total for day in report.days)),
                report.unexplained,
            )
            for report in reports
        ],
        keep=("states", BOOKED, "missing", "unexplained"),
    )


def _day_table(report: ReconcileReport) -> str:
    return lean_table(
        (
            "business date",
            "Z batch",
            "store",
            "accepted",
            "quarantined",
            "pending",
            "units",
            "money",
            "apart",
        ),
        [
            (
                day.business_date,
                day.z_batch,
                day.store.tickets,
                day.accepted.tickets,
                day.quarantined.tickets,
                day.pending.tickets,
                show_units(day.store.units),
                show_money(day.store.total),
                show_money(day.difference.total),
            )
            for day in report.days
        ],
        keep=("store", "accepted", "apart"),
    )
