"""What runs at a store say: exports, what was sent again, statements, products at the till."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect.logging import get_run_logger

from data_contracts.amounts import show_money, show_units
from flows.reporting.pages import MOST_ROWS, dry, more, named, publish, table

if TYPE_CHECKING:
    from tasks.use_cases.applying_products import ProductsReport
    from tasks.use_cases.exporting import ExportReport
    from tasks.use_cases.resending import ResendReport
    from tasks.use_cases.stating import StatementReport

IN_THE_ACKNOWLEDGEMENTS = "in the acknowledgements in `acks/`"


def show_export(store: str, report: ExportReport) -> None:
    """One line in the log; an artifact if something moved or waits."""
    sentence = (
        f"{store}: {report.tickets} tickets, {report.lines} lines, {show_money(report.money)}, "
        f"{report.orders} orders in {len(report.batches)} batches; {report.waiting} waiting, "
        f"{report.held_back} held back"
    )
    get_run_logger().info(sentence)
    if not (report.tickets or report.orders or report.batches or report.waiting or report.held_back):
        return
    parts = [
        f"# {'Sweep' if report.sweep else 'Export'} of {store}"
        + dry(report.dry_run, "nothing was published"),
        table(
            ("what", "figure"),
            [
                *_moved(report),
                ("not finished by RMS yet", report.waiting),
                ("published although they never settled: to quarantine", report.unsettled),
                ("held back by an open transaction in RMS", report.held_back),
                ("older than the baseline, left alone", report.before_baseline),
            ],
        ),
        f"Batches: {named(report.batches)}",
    ]
    if report.batches:
        parts.append(f"What became of them says `import-orders-{store.lower()}`, once the hub has them.")
    publish(f"export-orders-{store}", sentence, parts)


def show_resend(label: str, report: ResendReport) -> None:
    """What went, or would go, and what was left out and why."""
    sentence = (
        f"{label}: {report.tickets} tickets, {show_money(report.money)}, {report.orders} orders in "
        f"{len(report.batches)} batches{dry(report.dry_run)}"
    )
    get_run_logger().info(sentence)
    parts = [
        f"# Sent again: {label}" + dry(report.dry_run, "nothing was published"),
        table(
            ("what", "figure"),
            [
                *_moved(report),
                ("that never settled, flagged", report.unsettled),
                ("left to the ordinary export: RMS is still writing them", report.left_to_export),
                ("left out: from before the baseline", report.before_baseline),
                ("left out: numbers under which RMS holds nothing", report.absent),
            ],
        ),
        f"Batches: {named(report.batches)}",
    ]
    if report.dry_run:
        parts.append("To publish them, run it again with `dry_run` off.")
    publish(f"resend-period-{report.store}", sentence, parts)


def _moved(report: ExportReport | ResendReport) -> list[tuple[str, Any]]:
    return [
        ("tickets", report.tickets),
        ("lines", report.lines),
        ("units", show_units(report.units)),
        ("money", show_money(report.money)),
        ("layaways and backorders, new or changed", report.orders),
        ("deposits on them", show_money(report.deposits)),
    ]


def show_statement(store: str, report: StatementReport) -> None:
    """One line in the log and a small artifact."""
    sentence = f"{store}: statement {report.first_date} to {report.last_date}, {report.tickets} tickets"
    get_run_logger().info(sentence)
    parts = [
        f"# Statement of {store}",
        table(
            ("what", "figure"),
            [
                ("business dates", f"{report.first_date} to {report.last_date}"),
                ("tickets", report.tickets),
                ("units", show_units(report.units)),
                ("money", show_money(report.money)),
                ("numbers RMS never filled", report.absent),
                ("open layaways and backorders", report.open_orders),
                ("deposits", show_money(report.deposits)),
                ("not finished by RMS yet", report.waiting),
            ],
        ),
        f"Batch: {named([report.batch] if report.batch else [])}. Once the hub has it, `reconcile` compares.",
    ]
    publish(f"statement-{store}", sentence, parts)


def show_products(report: ProductsReport) -> None:
    """What became of each batch, every product that is not at the till, and what was cut or replaced."""
    get_run_logger().info(report.sentence)
    if not report.batches:
        return
    states = ("created", "updated", "unchanged", "refused", "superseded")
    parts = [
        f"# Products to {report.store}" + dry(report.dry_run),
        table(
            ("batch", "state", *states),
            [(f"`{b.path}`", b.state, *(b.count(state) for state in states)) for b in report.batches],
        ),
    ]
    parts += [f"**{b.path} was rejected:** {reason.message}" for b in report.batches for reason in b.reasons]
    if report.refused:
        rows = [(f"`{a.sku}`", a.message, a.fix) for a in report.refused[:MOST_ROWS]]
        parts += ["## Not at the till", table(("product", "why", "what to do"), rows)]
        parts += more(len(report.refused), IN_THE_ACKNOWLEDGEMENTS)
    if report.noted:
        rows = [(f"`{a.sku}`", a.state, " ".join(a.notes)) for a in report.noted[:MOST_ROWS]]
        parts += ["## Cut, left out or replaced", table(("product", "state", "what"), rows)]
        parts += more(len(report.noted), IN_THE_ACKNOWLEDGEMENTS)
    publish(f"apply-products-{report.store}", report.sentence, parts)
