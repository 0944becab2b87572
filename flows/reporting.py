"""Turns what a run did into one readable artifact: what moved, what did not and why.

Keys are per flow and store, so that the UI shows their history. No row values beyond ticket numbers,
sums and the quarantine's sentences; never a customer, a card or a credential.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from data_contracts.amounts import show_money, show_units

if TYPE_CHECKING:
    from tasks.use_cases.exporting import ExportReport
    from tasks.use_cases.importing import ImportSummary
    from tasks.use_cases.reconciling import Reconciliation
    from tasks.use_cases.stating import StatementReport

MOST_REASONS = 50
"""Reasons listed in an artifact; the rest is counted and found by `tillbridge quarantine`."""


def show_export(store: str, report: ExportReport) -> None:
    """One line in the log; an artifact if something moved or waits."""
    sentence = (
        f"{store}: {report.tickets} tickets, {report.lines} lines, {show_money(report.money)} "
        f"in {len(report.batches)} batches; {report.waiting} waiting, {report.held_back} held back"
    )
    get_run_logger().info(sentence)
    if not (report.batches or report.waiting or report.held_back):
        return
    _publish(
        f"export-orders-{store}",
        f"# Export of {store}",
        table(
            ("what", "figure"),
            [
                ("tickets", report.tickets),
                ("lines", report.lines),
                ("units", show_units(report.units)),
                ("money", show_money(report.money)),
                ("not finished by RMS yet", report.waiting),
                ("held back by an open transaction in RMS", report.held_back),
                ("older than the baseline, left alone", report.before_baseline),
            ],
        ),
        "Batches: " + (", ".join(f"`{path}`" for path in report.batches) or "none"),
    )


def show_statement(store: str, report: StatementReport) -> None:
    """One line in the log and a small artifact."""
    get_run_logger().info(
        "%s: statement %s to %s, %s tickets", store, report.first_date, report.last_date, report.tickets
    )
    _publish(
        f"statement-{store}",
        f"# Statement of {store}",
        table(
            ("what", "figure"),
            [
                ("business dates", f"{report.first_date} to {report.last_date}"),
                ("tickets", report.tickets),
                ("units", show_units(report.units)),
                ("money", show_money(report.money)),
                ("numbers RMS never filled", report.absent),
                ("not finished by RMS yet", report.waiting),
            ],
        ),
    )


def show_import(summary: ImportSummary) -> None:
    """What became of each batch, and every reason for quarantine."""
    batches = summary.checked or summary.batches
    get_run_logger().info(
        "%d batches: %d documents accepted, %d quarantined, %d pending",
        len(batches),
        summary.accepted,
        summary.quarantined,
        summary.pending,
    )
    if not (batches or summary.failures):
        return
    reasons = [(batch.path, reason) for batch in batches for reason in batch.reasons]
    parts = [
        "# Import" + (" (dry run: nothing was imported)" if summary.checked else ""),
        table(
            ("batch", "state", "documents", "accepted", "quarantined", "pending", "seen before", "money"),
            [
                (
                    f"`{b.path}`",
                    b.state,
                    b.documents,
                    b.accepted,
                    b.quarantined,
                    b.pending,
                    b.seen_before,
                    show_money(b.money),
                )
                for b in batches
            ],
        ),
    ]
    if reasons:
        parts += [
            "## What needs attention",
            table(
                ("document", "why", "what to do"),
                [
                    (f"`{reason.document or path}`", reason.message, reason.fix)
                    for path, reason in reasons[:MOST_REASONS]
                ],
            ),
        ]
        if len(reasons) > MOST_REASONS:
            parts.append(f"... and {len(reasons) - MOST_REASONS} more: `tillbridge quarantine`.")
    parts += [f"**{store} stopped:** {text}" for store, text in summary.failures.items()]
    _publish("import-orders", *parts)


def show_reconciliation(result: Reconciliation) -> None:
    """The comparison store by store, day by day, and every finding by name."""
    get_run_logger().info(result.sentence)
    parts = ["# Reconciliation", f"**{result.sentence}**"]
    for store in result.stores:
        parts += [
            f"## {store.store}",
            table(
                ("business date", "Z batch", "store", "accepted", "quarantined", "pending", "apart"),
                [
                    (
                        day.business_date,
                        day.z_batch,
                        day.store.tickets,
                        day.accepted.tickets,
                        day.quarantined.tickets,
                        day.pending.tickets,
                        show_money(day.difference.total),
                    )
                    for day in store.days
                ],
            ),
        ]
    if result.findings:
        parts += ["## Unexplained", "\n".join(f"- {text}" for text in result.findings)]
    if result.explained:
        parts += ["## Explained", "\n".join(f"- {text}" for text in result.explained)]
    _publish("reconcile", *parts)


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A markdown table; every row has a cell per header, and cells cannot break out of it."""
    lines = [" | ".join(headers), " | ".join("---" for _ in headers)]
    for row in rows:
        cells = (
            str(cell).replace("|", "\\|").replace("\n", " ") for _, cell in zip(headers, row, strict=True)
        )
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def _publish(key: str, *parts: str) -> None:
    create_markdown_artifact(markdown="\n\n".join(parts), key=key.lower().replace("_", "-"))
