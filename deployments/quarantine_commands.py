"""`tillbridge quarantine`: what waits, and what people do about it."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from data_contracts.amounts import show_money, show_units
from data_contracts.waiting import WAITING_TO_ADVANCE
from deployments.output import say, show_json, show_table
from tasks.settings import load_settings

if TYPE_CHECKING:
    from tasks.hub.quarantine import QuarantineEntry, ShownDocument, ShownFile
    from tasks.use_cases.quarantine import DeskReport


def _account() -> str:
    """The account this runs under; empty where the system has no name for it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for scripts.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Work everything out, change nothing.")
_STORE = click.option("--store", metavar="CODE", help="Store of documents that are given by number alone.")
_WHY = click.option("--why", metavar="TEXT", required=True, help="The reason, kept for good.")
_BY = click.option(
    "--by", metavar="NAME", default=getpass.getuser, help="Who decides; default: your account."
)
_DOCUMENTS = click.argument("documents", nargs=-1, required=True, metavar="DOCUMENT...")


@click.group(invoke_without_command=True)
@_JSON
@click.pass_context
def quarantine(context: click.Context, as_json: bool) -> None:
    """List what waits and why, or work on it: show, edit, release, discard, recheck.

    Documents are named as listed, S1/1/ticket/10452, or by number with --store.
    """
    if context.invoked_subcommand is None:
        _list(context, (), as_json, closed=False)


@quarantine.command("list")
@click.argument("stores", nargs=-1)
@click.option("--all", "closed", is_flag=True, help="Also what was closed in the last 14 days.")
@_JSON
@click.pass_context
def list_(context: click.Context, stores: Sequence[str], closed: bool, as_json: bool) -> None:
    """List the documents of STORES (default: all) that need a person or wait, oldest first."""
    _list(context, stores, as_json, closed=closed)


@quarantine.command()
@click.argument("document")
@_STORE
@_JSON
@click.pass_context
def show(context: click.Context, document: str, store: str | None, as_json: bool) -> None:
    """Show DOCUMENT: its rows as exported, its edits, what was decided, what waits for it."""
    from tasks.use_cases.quarantine import show_quarantined

    shown = show_quarantined(load_settings(context.obj), document, store=store)
    if as_json:
        show_json(shown)
    else:
        _show(shown)


@quarantine.command()
@click.argument("document")
@click.option(
    "--set", "changes", metavar="ROLE/ROW/COLUMN=VALUE", multiple=True, help="What is to count; several."
)
@click.option("--undo", is_flag=True, help="Take all edits of the document back.")
@_STORE
@_WHY
@_BY
@_DRY_RUN
@_JSON
@click.pass_context
def edit(context: click.Context, /, document: str, as_json: bool, **options: Any) -> None:
    """Lay values over cells of DOCUMENT; the rows as exported stay.

    ROW is `header`, the number of a line, or the entry id of a tender, as `show` prints them. The edited
    document waits until it is released.

    \b
    tillbridge quarantine edit S1/1/ticket/452 --set ticket_lines/2/sku=ABC --why "label"
    tillbridge quarantine edit S1/1/ticket/452 --undo --why "it was right"
    """
    from tasks.use_cases.quarantine import edit_document

    _told(edit_document(load_settings(context.obj), document, **options), as_json)


@quarantine.command()
@_DOCUMENTS
@click.option("--accept", metavar="RULE", multiple=True, help="Waive this rule, having looked; several.")
@_STORE
@_WHY
@_BY
@_DRY_RUN
@_JSON
@click.pass_context
def release(context: click.Context, /, documents: Sequence[str], as_json: bool, **options: Any) -> None:
    """Judge DOCUMENTS again with their edits and book what is good; run it as often as you like.

    What was discarded comes back. `show` names the rules that may be waived with --accept.
    """
    from tasks.use_cases.quarantine import release_documents

    report = release_documents(load_settings(context.obj), documents, **options)
    _told(report, as_json)
    if any(of.outcome in ("quarantined", "discarded") for of in report.decided):
        context.exit(1)


@quarantine.command()
@_DOCUMENTS
@_STORE
@_WHY
@_BY
@_DRY_RUN
@_JSON
@click.pass_context
def discard(context: click.Context, /, documents: Sequence[str], as_json: bool, **options: Any) -> None:
    """Put DOCUMENTS aside for good: they count as seen, and reconcile explains them.

    A newer revision is judged anew; `release` takes it back.
    """
    from tasks.use_cases.quarantine import discard_documents

    _told(discard_documents(load_settings(context.obj), documents, **options), as_json)


@quarantine.command()
@click.argument("stores", nargs=-1)
@_DRY_RUN
@_JSON
@click.pass_context
def recheck(context: click.Context, stores: Sequence[str], dry_run: bool, as_json: bool) -> None:
    """Judge all that waits in STORES (default: all) again, after settings or the catalogue changed."""
    from tasks.use_cases.quarantine import recheck_stores

    _told(recheck_stores(load_settings(context.obj), stores, dry_run=dry_run), as_json)


# -- how it looks ------------------------------------------------------------------------------------
def say_to_advance(count: int) -> None:
    """How many snapshots and pick-ups only wait to be applied."""
    what = "1 snapshot or pick-up waits" if count == 1 else f"{count:,} snapshots and pick-ups wait"
    say(f"{what} to be applied: `tillbridge advance` does it.", indent=0)


def _list(context: click.Context, stores: Sequence[str], as_json: bool, *, closed: bool) -> None:
    from tasks.use_cases.quarantine import list_quarantine

    entries = list_quarantine(load_settings(context.obj), stores, closed=closed)
    if as_json:
        show_json(entries)
        return
    if not entries:
        click.echo("The quarantine is empty.")
    listed = [entry for entry in entries if entry.rule != WAITING_TO_ADVANCE or entry.closed_utc]
    for entry in listed:
        click.echo(_title(entry))
        if entry.closed_utc is None:
            say(entry.message)
            say(f"What to do: {entry.fix}")
        else:
            say(entry.decision or entry.message)
    if len(listed) < len(entries):
        say_to_advance(len(entries) - len(listed))


def _title(entry: QuarantineEntry) -> str:
    parts = [
        f"{show_units(entry.units)} units, {show_money(entry.total)}",
        f"since {entry.first_seen_utc[:16]} ({entry.age})",
    ]
    parts += [entry.state] if entry.state != "quarantined" else []
    parts += [f"{entry.edits} edited" if entry.edits > 1 else "edited"] if entry.edits else []
    return f"{entry.document}  {', '.join(parts)}"


def _show(shown: ShownDocument) -> None:
    click.echo(_title(shown.entry))
    say(shown.entry.message)
    say(f"What to do: {shown.entry.fix}")
    for rule, does in shown.waivers.items():
        say(f"May be waived with `--accept {rule}`: it {does}.")
    click.echo()
    for file in shown.files:
        _show_file(file)
    _sentences("Decided so far:", shown.history)
    _sentences("Waiting for it:", [f"{entry.document}: {entry.message}" for entry in shown.waiting])


def _show_file(file: ShownFile) -> None:
    """The rows as exported, with a star where an edit counts instead, and those edits below."""
    edited: list[str] = []
    rows: list[list[tuple[str, str]]] = []
    for name, row in zip(file.names, file.rows, strict=True):
        rows.append([])
        for column, text in zip(file.columns, row, strict=True):
            new = file.edits.get(f"{name}/{column}")
            rows[-1].append((column, text if new is None else f"{text} *"))
            if new is not None:
                edited.append(f"{file.role}/{name}/{column}: not `{text}`, but `{new}`.")
    if file.names == ("header",):
        show_table((file.role, "as exported"), rows[0])
    else:  # too many columns for a table on a page
        for name, cells in zip(file.names, rows, strict=True):
            say(f"{file.role}/{name}: {', '.join(f'{column} {text}' for column, text in cells)}")
    for text in edited:
        say(text, bullet="* ")
    if rows:
        click.echo()


def _sentences(title: str, texts: Sequence[str]) -> None:
    if texts:
        say(title)
        for text in texts:
            say(text, indent=4, bullet="- ")


def _told(report: DeskReport, as_json: bool) -> None:
    if as_json:
        show_json(report)
        return
    for of in report.decided:
        say(f"{of.document}: {of.outcome}. {of.message}", indent=0)
        if of.fix:
            say(f"What to do: {of.fix}")
    if report.rechecked:
        say(f"{report.sentence[0].upper()}{report.sentence[1:]}.", indent=0)
    elif report.dry_run:
        click.echo("Dry run: nothing was written.")
