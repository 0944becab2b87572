"""Checks batches against their contract and parts the documents that pass from those that do not.

A row that fails takes its whole document along: never half an order. Batches are checked together, since
a call of great-expectations costs the same for one as for twenty, and every batch gets its own verdict.
A rule that could not run is an error, never "no bad rows".
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from data_contracts.computed import add_computed
from data_contracts.contract import Contract, FileContract, Rule, build_suite, load_contract
from data_contracts.documents import KEY, Kind
from data_contracts.errors import ContractBroken
from data_contracts.frames import EXPORT_AGAIN, typed
from data_contracts.manifest import Reason

log = logging.getLogger(__name__)

RULE_TYPE = "type"
RULE_UNREADABLE_KEY = "unreadable_key"
RULE_FOREIGN_ROWS = "foreign_rows"
RULE_TOO_MANY_FAULTS = "too_many_faults"

_SOURCE = re.compile(r"[a-z]{1,20}")
_KIND_WORDS: dict[Kind, str] = {
    "text": "a text",
    "integer": "a whole number of at most 64 bits",
    "amount": "an amount with four decimals",
    "timestamp": "a UTC time such as 2026-11-23T08:15:30.123Z",
    "date": "a date such as 2026-11-23",
    "boolean": "`true` or `false`",
}


@dataclass(frozen=True)
class BatchRows:
    """The files of one batch as they were read."""

    stream: str
    name: str
    """How people name the batch: `S1/orders/000412-9f2c51d07ab3`."""
    store: str
    epoch: int
    rows: dict[str, pd.DataFrame]
    """Role of the file -> its rows of text (`frames.read_rows`)."""


class Verdict(BaseModel):
    """What the contract says about one batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: str
    contract: str
    """Name and version of the contract: `orders 1.0.0`."""
    state: Literal["checked", "rejected"]
    documents: int
    """Documents in the batch, the failing ones among them."""
    reasons: tuple[Reason, ...] = ()
    """Critical. With a document: that one goes to quarantine. Without: the whole batch is rejected."""
    warnings: tuple[Reason, ...] = ()
    """About documents that are accepted."""


def validate(stream: str, batches: Sequence[BatchRows]) -> list[Verdict]:
    """A verdict for each batch, in their order; all of them are checked together.

    Raises `ContractBroken` for a batch without the files or columns of the contract, for an unknown
    stream and for a rule that could not run.
    """
    contract = load_contract(stream)
    for batch in batches:
        _check_structure(contract, batch)
    if not batches:
        return []
    findings = [_Findings() for _ in batches]
    frames = _readable(contract, batches, findings)
    for role, frame in add_computed(stream, frames).items():
        file = contract.files[role]
        for rule, rows in _failing_rows(file, frame):
            _record(findings, rule, rows, contract)
    return [_verdict(contract, batch, found) for batch, found in zip(batches, findings, strict=True)]


def split(
    rows: Mapping[str, pd.DataFrame], verdict: Verdict
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """(accepted rows, quarantined rows) by role: whole documents, every row in exactly one of the two.

    Rows keep their text and their index. Of a rejected batch nothing is accepted.
    """
    failing = {reason.document for reason in verdict.reasons if reason.document is not None}
    accepted, quarantined = {}, {}
    for role, frame in rows.items():
        if verdict.state == "rejected":
            out = np.ones(len(frame), dtype=bool)
        elif set(KEY) <= set(frame.columns):
            out = np.array([document in failing for document in _documents(frame)], dtype=bool)
        else:
            out = np.zeros(len(frame), dtype=bool)
        accepted[role], quarantined[role] = frame[~out], frame[out]
    return accepted, quarantined


# -- findings and the verdict ---------------------------------------------------------------------------
@dataclass
class _Findings:
    """What was found in one batch."""

    documents: dict[str, None] = field(default_factory=dict)
    """Documents in the order in which they appear."""
    batch: list[Reason] = field(default_factory=list)
    """Reasons to reject the batch."""
    critical: dict[str | None, dict[str, _Finding]] = field(default_factory=dict)
    """Document (None in streams without documents) -> rule -> what was found."""
    warnings: dict[str | None, dict[str, _Finding]] = field(default_factory=dict)


@dataclass
class _Finding:
    """One rule that failed in one document."""

    rule: str
    fix: str
    unless: frozenset[str] = frozenset()
    sentences: dict[str, None] = field(default_factory=dict)

    def reason(self, document: str | None) -> Reason:
        first, more = next(iter(self.sentences)), len(self.sentences) - 1
        message = f"{first} And {more:,} more like this." if more else first
        return Reason(document=document, rule=self.rule, message=message, fix=self.fix)


def _note(
    found: dict[str | None, dict[str, _Finding]], document: str | None, sentence: str, blank: _Finding
) -> None:
    found.setdefault(document, {}).setdefault(blank.rule, blank).sentences[sentence] = None


def _record(
    findings: list[_Findings], rule: Rule, rows: Iterable[dict[str, Any]], contract: Contract
) -> None:
    for row in rows:
        batch = findings[row["batch"]]
        document = "/".join(str(row[name]) for name in KEY) if contract.has_documents else None
        target = batch.critical if rule.severity == "critical" else batch.warnings
        _note(target, document, rule.say(row), _Finding(rule.name, rule.fix, rule.unless))


def _verdict(contract: Contract, batch: BatchRows, found: _Findings) -> Verdict:
    order: list[str | None] = [*found.documents, None]
    reasons = list(found.batch)
    if not reasons:
        reasons = [reason for document in order for reason in _reasons(found.critical, document)]
        share = len(found.critical) / len(found.documents) if found.documents else 0
        if share > contract.reject_above_share and len(found.critical) > contract.reject_above_documents:
            reasons = [_too_many(contract, found, reasons)]
    rejected = any(reason.document is None for reason in reasons)
    warnings = [
        reason
        for document in order
        if document not in found.critical and not rejected
        for reason in _reasons(found.warnings, document)
    ]
    log.info(
        "checked %s against %s: %d documents, %d reasons, %d warnings%s",
        batch.name,
        contract.label,
        len(found.documents),
        len(reasons),
        len(warnings),
        ", rejected" if rejected else "",
    )
    return Verdict(
        batch=batch.name,
        contract=contract.label,
        state="rejected" if rejected else "checked",
        documents=len(found.documents),
        reasons=tuple(reasons),
        warnings=tuple(warnings),
    )


def _reasons(found: dict[str | None, dict[str, _Finding]], document: str | None) -> list[Reason]:
    failed = found.get(document, {})
    return [finding.reason(document) for finding in failed.values() if not finding.unless & failed.keys()]


def _too_many(contract: Contract, found: _Findings, reasons: list[Reason]) -> Reason:
    rules = Counter(reason.rule for reason in reasons).most_common(3)
    most = ", ".join(f"{rule} ({count:,})" for rule, count in rules)
    return Reason(
        rule=RULE_TOO_MANY_FAULTS,
        message=(
            f"{len(found.critical):,} of {len(found.documents):,} documents fail, more than "
            f"{contract.reject_above_share:.0%}: the batch as a whole is doubtful. Most frequent: {most}. "
            f"For example: {reasons[0].message}"
        ),
        fix="Correct the common cause (often a setting of the store) and have the batch exported again.",
    )


# -- rows that can be checked ---------------------------------------------------------------------------
def _check_structure(contract: Contract, batch: BatchRows) -> None:
    for role, file in contract.files.items():
        if role not in batch.rows or list(batch.rows[role].columns) != list(file.columns):
            raise ContractBroken(
                f"{batch.name} has no file `{role}` with the columns of the contract {contract.label}. "
                "Retrying cannot clear this.",
                next_step=EXPORT_AGAIN,
                batch=batch.name,
                role=role,
            )


def _readable(
    contract: Contract, batches: Sequence[BatchRows], findings: list[_Findings]
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
            _reject(findings, role, rule, [(of_batch[row], of_row[row]) for row in rows])
        untied = {row for rows in bad.values() for row in rows}
        names[role] = _documents(raw) if contract.has_documents else [""] * len(raw)
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
            subject = f"Ticket {raw['number'][row]}: " if document else ""
            _note(
                findings[at].critical,
                document,
                f"{subject}`{column}` in row {of_row[row]:,} of `{role}` is not "
                f"{_KIND_WORDS[file.columns[column]]}.",
                _Finding(
                    RULE_TYPE, "Have the store send it again; if that does not help, look at it in RMS."
                ),
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
            if row not in unreadable and epoch != str(batches[at].epoch)
        }
    return {RULE_UNREADABLE_KEY: sorted(unreadable), RULE_FOREIGN_ROWS: sorted(foreign - unreadable)}


def _reject(findings: list[_Findings], role: str, rule: str, rows: list[tuple[int, int]]) -> None:
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
                fix="Have the batch exported again by the store.",
            )
        )


def _documents(rows: pd.DataFrame) -> list[str]:
    return ["/".join(key) for key in zip(*(rows[name].tolist() for name in KEY), strict=True)]


# -- great-expectations ---------------------------------------------------------------------------------
def _failing_rows(file: FileContract, frame: pd.DataFrame) -> list[tuple[Rule, list[dict[str, Any]]]]:
    """Rules that failed, in their order, each with its failing rows as dictionaries.

    Raises `ContractBroken` for a rule that could not run.
    """
    if frame.empty:  # great-expectations would call every rule of an empty frame a success
        return []
    results = _run(file, _comparable(file, frame))
    failing = []
    for rule in file.rules:
        result = results.get(rule.name)
        # A rule that ran says so; one that did not has another shape, or is missing.
        if result is None or result.exception_info.get("raised_exception", True):
            raise _not_run(file, rule)
        if result.success:
            continue
        rows = result.result.get("unexpected_index_list")
        if not rows:
            raise _not_run(file, rule)
        failing.append((rule, _records(frame.iloc[sorted(rows)])))
    return failing


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    columns = frame.columns.tolist()
    values = zip(*(frame[name].tolist() for name in columns), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in values]


def _run(file: FileContract, frame: pd.DataFrame) -> dict[str, Any]:
    """Rule -> result; one context a call, since a context must not be shared by threads."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    batch = (
        context.data_sources.add_pandas("batches")
        .add_dataframe_asset(file.role)
        .add_batch_definition_whole_dataframe("rows")
        .get_batch(batch_parameters={"dataframe": frame})
    )
    # Only COMPLETE lists every failing row; without key columns they are named by the frame's labels.
    report = batch.validate(
        build_suite(file),
        result_format={"result_format": "COMPLETE", "return_unexpected_index_query": False},
    )
    return {
        result.expectation_config.meta["rule"]: result
        for result in report.results
        if result.expectation_config is not None and result.expectation_config.meta is not None
    }


def _comparable(file: FileContract, frame: pd.DataFrame) -> pd.DataFrame:
    """Dates and timestamps as such: great-expectations does not compare texts."""
    dated = {
        name: np.array([text.rstrip("Z") for text in frame[name].tolist()], dtype="datetime64[ms]")
        for name, kind in file.columns.items()
        if kind in ("date", "timestamp")
    }
    return frame.assign(**dated)


def _not_run(file: FileContract, rule: Rule) -> ContractBroken:
    return ContractBroken(
        f"The rule `{rule.name}` of `{file.role}` could not be run. Nothing was accepted. "
        "Retrying cannot clear this.",
        next_step="report this with the version of the contract",
        rule=rule.name,
        role=file.role,
    )
