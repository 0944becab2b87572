"""Checks batches against their contract and parts the documents that pass from those that do not.

A row that fails takes its whole document along: never half an order. Batches are checked together, since
a call of great-expectations costs the same for one as for twenty, and every batch gets its own verdict.
A rule that could not run is an error, never "no bad rows".
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from data_contracts.amounts import CENT
from data_contracts.computed import add_computed
from data_contracts.contract import Contract, FileContract, Rule, build_suite, load_contract
from data_contracts.documents import KEY, STREAM_ORDERS
from data_contracts.errors import BatchAltered, ContractBroken
from data_contracts.findings import BatchRows, Finding, Findings, note
from data_contracts.frames import typed
from data_contracts.manifest import Manifest, Reason
from data_contracts.readable import check_structure, documents_of, readable_rows
from data_contracts.sending_again import send_again

__all__ = ["BatchRows", "Verdict", "failing_rows", "split", "validate"]

log = logging.getLogger(__name__)

RULE_TOO_MANY_FAULTS = "too_many_faults"


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


def validate(stream: str, batches: Sequence[BatchRows], *, tolerance_per_line: int = CENT) -> list[Verdict]:
    """A verdict for each batch, in their order; all of them are checked together.

    `tolerance_per_line` is what a ticket's total may differ from its lines, in ten-thousandths a line.
    Raises `ContractBroken` for a batch without the files or columns of the contract, for an unknown
    stream and for a rule that could not run.
    """
    contract = load_contract(stream)
    for batch in batches:
        check_structure(contract, batch)
    if not batches:
        return []
    findings = [Findings() for _ in batches]
    frames = readable_rows(contract, batches, findings)
    published = [batch.created_utc for batch in batches]
    for role, frame in add_computed(stream, frames, tolerance_per_line, published).items():
        file = contract.files[role]
        for rule, rows in failing_rows(file, frame):
            _record(findings, rule, rows, contract)
    return [_verdict(contract, batch, found) for batch, found in zip(batches, findings, strict=True)]


def check_sums(manifest: Manifest, rows: Mapping[str, pd.DataFrame]) -> None:
    """Raise `BatchAltered` unless the rows add up to what the manifest says of them.

    Counts and sums of tickets whose cells cannot be read are left to the rules.
    """
    said = [(f"rows in {entry.role}", entry.rows, len(rows[entry.role])) for entry in manifest.files]
    if manifest.stream == STREAM_ORDERS:
        tickets, _ = typed(rows["tickets"][["units", "total"]], {"units": "amount", "total": "amount"})
        orders, _ = typed(rows["orders"][["deposit_changes"]], {"deposit_changes": "amount"})
        documents = len(rows["tickets"]) + len(rows["orders"])
        said.append(("documents", manifest.documents, documents))
        said.append(("orders", manifest.orders, len(rows["orders"])))
        if len(orders) == len(rows["orders"]):
            deposits = sum(orders["deposit_changes"].tolist())
            said.append(("of deposits, in ten-thousandths", manifest.deposits, deposits))
        if len(tickets) == len(rows["tickets"]):
            said.append(("units, in ten-thousandths", manifest.units, sum(tickets["units"].tolist())))
            said.append(("money, in ten-thousandths", manifest.money, sum(tickets["total"].tolist())))
    for what, expected, found in said:
        if expected != found:
            raise BatchAltered(
                f"The manifest of {manifest.path} says {expected:,} {what}, its files hold {found:,}. "
                "Retrying cannot clear this; nothing was imported.",
                next_step=send_again(manifest.path),
                batch=manifest.path,
            )


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
            out = np.array([document in failing for document in documents_of(frame)], dtype=bool)
        else:
            out = np.zeros(len(frame), dtype=bool)
        accepted[role], quarantined[role] = frame[~out], frame[out]
    return accepted, quarantined


# -- findings and the verdict ---------------------------------------------------------------------------
def _record(findings: list[Findings], rule: Rule, rows: Iterable[dict[str, Any]], contract: Contract) -> None:
    for row in rows:
        batch = findings[row["batch"]]
        document = "/".join(str(row[name]) for name in KEY) if contract.has_documents else None
        target = batch.critical if rule.severity == "critical" else batch.warnings
        note(target, document, rule.say(row), Finding(rule.name, rule.fix, rule.unless))


def _verdict(contract: Contract, batch: BatchRows, found: Findings) -> Verdict:
    order: list[str | None] = [*found.documents, None]
    reasons = list(found.batch)
    if not reasons:
        reasons = [reason for document in order for reason in _reasons(found.critical, document)]
        share = len(found.critical) / len(found.documents) if found.documents else 0
        if share > contract.reject_above_share and len(found.critical) > contract.reject_above_documents:
            reasons = [_too_many(contract, batch, found, reasons)]
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


def _reasons(found: dict[str | None, dict[str, Finding]], document: str | None) -> list[Reason]:
    failed = found.get(document, {})
    return [finding.reason(document) for finding in failed.values() if not finding.unless & failed.keys()]


def _too_many(contract: Contract, batch: BatchRows, found: Findings, reasons: list[Reason]) -> Reason:
    rules = Counter(reason.rule for reason in reasons).most_common(3)
    most = ", ".join(f"{rule} ({count:,})" for rule, count in rules)
    return Reason(
        rule=RULE_TOO_MANY_FAULTS,
        message=(
            f"{len(found.critical):,} of {len(found.documents):,} documents fail, more than "
            f"{contract.reject_above_share:.0%}: the batch as a whole is doubtful. Most frequent: {most}. "
            f"For example: {reasons[0].message}"
        ),
        fix=f"Correct the common cause (often a setting of the store), then {send_again(batch.name)}.",
    )


# -- great-expectations ---------------------------------------------------------------------------------
def failing_rows(file: FileContract, frame: pd.DataFrame) -> list[tuple[Rule, list[dict[str, Any]]]]:
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

    # It tells of a temporary folder at each call.
    logging.getLogger(ProgressBarsConfig.__module__).setLevel(logging.WARNING)
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
