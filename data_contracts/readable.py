"""Rows of text to rows that can be checked; what cannot be read becomes a finding, never a smaller sum."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from data_contracts.contract import Contract
from data_contracts.documents import KEY, ORDER_ROLES, Kind
from data_contracts.errors import ContractBroken
from data_contracts.findings import BatchRows, Finding, Findings, note
from data_contracts.frames import typed
from data_contracts.manifest import Reason
from data_contracts.sending_again import send_again

RULE_TYPE = "type"
RULE_UNREADABLE_KEY = "unreadable_key"
RULE_FOREIGN_ROWS = "foreign_rows"

_SOURCE = re.compile(r"[a-z]{1,20}")
_KIND_WORDS: dict[Kind, str] = {
    "text": "a text",
    "integer": "a whole number of at most 64 bits",
    "amount": "an amount with four decimals",
    "timestamp": "a UTC time such as 2026-11-23T08:15:30.123Z",
    "date": "a date such as 2026-11-23",
    "boolean": "`true` or `false`",
}


def check_structure(contract: Contract, batch: BatchRows) -> None:
    """`ContractBroken` for a batch without the files or columns of its contract."""
    for role, file in contract.files.items():
        if role not in batch.rows or list(batch.rows[role].columns) != list(file.columns):
            raise ContractBroken(
                f"{batch.name} has no file `{role}` with the columns of the contract {contract.label}. "
                "Retrying cannot clear this.",
                next_step=send_again(batch.name),
                batch=batch.name,
                role=role,
            )


def readable_rows(
    contract: Contract, batches: Sequence[BatchRows], findings: list[Findings]
) -> dict[str, pd.DataFrame]:
    """Typed rows by role with `batch`, `row` and `document`; what cannot be read becomes a finding.

    Documents with a cell that cannot be read are left out as a whole: their sums would mislead.
    """
    numbers: dict[tuple[int, str], int] = {}
    unreadable: set[tuple[int, str]] = set()
    frames: dict[str, pd.DataFrame] = {}
    names: dict[str, list[str]] = {}
    for role, file in contract.files.items():
        raw = pd.concat([batch.rows[role] for batch in batches], ignore_index=True)
        of_batch = [at for at, batch in enumerate(batches) for _ in range(len(batch.rows[role]))]
        of_row = [row for batch in batches for row in range(1, len(batch.rows[role]) + 1)]
        frame, faults = typed(raw, file.columns)
        bad = _unusable_rows(contract, batches, raw, of_batch, faults)
        for rule, rows in bad.items():
            _reject(batches, findings, role, rule, [(of_batch[row], of_row[row]) for row in rows])
        untied = {row for rows in bad.values() for row in rows}
        names[role] = documents_of(raw) if contract.has_documents else [""] * len(raw)
        if contract.has_documents:
            for row, name in enumerate(names[role]):
                if row not in untied:
                    findings[of_batch[row]].documents[name] = None
                    numbers.setdefault((of_batch[row], name), len(numbers))
        for row, column in zip(faults["row"].tolist(), faults["column"].tolist(), strict=True):
            if row in untied:
                continue
            at, name = of_batch[row], names[role][row]
            unreadable.add((at, name))
            document = name if contract.has_documents else None
            word, option = ("Order", "orders") if role in ORDER_ROLES else ("Ticket", "numbers")
            subject = f"{word} {raw['number'][row]}: " if document else ""
            again = (
                f"run `tillbridge resend STORE --{option} NUMBER` at the store"
                if document
                else send_again(batches[at].name)
            )
            note(
                findings[at].critical,
                document,
                f"{subject}`{column}` in row {of_row[row]:,} of `{role}` is not "
                f"{_KIND_WORDS[file.columns[column]]}.",
                Finding(RULE_TYPE, f"To get it anew, {again}; if that does not help, look at it in RMS."),
            )
        keep = frame.index.tolist()
        frame = frame.assign(batch=[of_batch[i] for i in keep], row=[of_row[i] for i in keep])
        if contract.has_documents:
            frame = frame.assign(document=[numbers.get((of_batch[i], names[role][i]), -1) for i in keep])
        frames[role] = frame
    left_out = {numbers[key] for key in unreadable if key in numbers}
    doubtful = {at for at, found in enumerate(findings) if found.batch}
    for role, frame in frames.items():
        keep_row = ~frame["batch"].isin(doubtful)
        if contract.has_documents:
            keep_row &= ~frame["document"].isin(left_out)
        frames[role] = frame[keep_row].reset_index(drop=True)
    return frames


def _unusable_rows(
    contract: Contract,
    batches: Sequence[BatchRows],
    raw: pd.DataFrame,
    of_batch: list[int],
    faults: pd.DataFrame,
) -> dict[str, list[int]]:
    """Rule -> rows that belong to no document of this batch; each makes its batch unusable."""
    unreadable: set[int] = set()
    if contract.has_documents:
        unreadable = set(faults.loc[faults["column"].isin(KEY), "row"].tolist())
        unreadable |= {row for row, text in enumerate(raw["source"].tolist()) if not _SOURCE.fullmatch(text)}
    foreign = {
        row
        for row, (store, at) in enumerate(zip(raw["store"].tolist(), of_batch, strict=True))
        if store != batches[at].store
    }
    if contract.has_documents:
        foreign |= {
            row
            for row, (epoch, at) in enumerate(zip(raw["epoch"].tolist(), of_batch, strict=True))
            if row not in unreadable and epoch not in map(str, batches[at].epochs)
        }
    return {RULE_UNREADABLE_KEY: sorted(unreadable), RULE_FOREIGN_ROWS: sorted(foreign - unreadable)}


def _reject(
    batches: Sequence[BatchRows],
    findings: list[Findings],
    role: str,
    rule: str,
    rows: list[tuple[int, int]],
) -> None:
    by_batch: dict[int, list[int]] = {}
    for at, row in rows:
        by_batch.setdefault(at, []).append(row)
    what = (
        "its store, epoch, source or number cannot be read"
        if rule == RULE_UNREADABLE_KEY
        else "another store or epoch than that of the batch"
    )
    for at, numbers in by_batch.items():
        more = f" and {len(numbers) - 10:,} more" if len(numbers) > 10 else ""
        shown = ", ".join(f"{number:,}" for number in numbers[:10]) + more
        findings[at].batch.append(
            Reason(
                rule=rule,
                message=f"Row{'s' if len(numbers) > 1 else ''} {shown} of `{role}`: {what}.",
                fix=f"To get it whole, {send_again(batches[at].name)}.",
            )
        )


def documents_of(rows: pd.DataFrame) -> list[str]:
    """The document of each row of text, as `DocumentKey` writes it: `S1/1/ticket/10452`."""
    return ["/".join(key) for key in zip(*(rows[name].tolist() for name in KEY), strict=True)]
