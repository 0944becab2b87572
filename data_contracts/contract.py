"""The contract of a stream: its columns and its rules, read from `contracts/<stream>.odcs.yaml`.

The YAML is the only place where rules and their numbers stand. The options of a column (lengths, bounds,
pattern) become rules of their own; everything else is a rule under `quality`. All of them run as
expectations of great-expectations, which is imported only when a suite is built.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from data_contracts.amounts import show_money, show_units
from data_contracts.documents import FILES, STREAM_ORDERS, Kind
from data_contracts.errors import ContractBroken

if TYPE_CHECKING:
    import great_expectations as gx
    from open_data_contract_standard.model import DataQuality, SchemaObject, SchemaProperty

FOLDER = Path(__file__).with_name("contracts")
ENGINE = "greatExpectations"
FIX = "Correct it in RMS; the next export sends it again."
"""What to do about a column's options, where the contract does not say otherwise."""

Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Rule:
    """One rule about the rows of a file."""

    name: str
    severity: Severity
    expectation: str
    """Type of the expectation, e.g. `expect_column_values_to_be_between`."""
    kwargs: Mapping[str, Any]
    sentence: str
    """For the operator, with the cells of the failing row as placeholders."""
    fix: str
    unless: frozenset[str] = frozenset()
    """Rules whose failure in the same document already explains this one."""
    waiver: str = ""
    """What it does if a person who has looked waives the rule; empty for one that nobody may waive."""

    def say(self, row: Mapping[str, Any]) -> str:
        """The sentence about a row; formats are `money`, `units` (of ten-thousandths) and `length`."""
        return _SENTENCES.vformat(self.sentence, (), row)


@dataclass(frozen=True)
class FileContract:
    """What one file of a batch must be."""

    role: str
    columns: Mapping[str, Kind]
    subject: str
    """How a sentence about a row begins."""
    computed: Mapping[str, str]
    """Columns worked out before the rules run -> what they hold."""
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Contract:
    """What a batch of a stream must be."""

    stream: str
    version: str
    files: Mapping[str, FileContract]
    reject_above_share: float
    """A batch of which a larger share of the documents fails is rejected whole ..."""
    reject_above_documents: int
    """... if more than this many documents fail."""

    @property
    def label(self) -> str:
        """As it stands in verdicts: `orders 1.0.0`."""
        return f"{self.stream} {self.version}"

    @property
    def has_documents(self) -> bool:
        """Whether single documents can be quarantined; else a critical fault rejects the batch."""
        return self.stream == STREAM_ORDERS


@cache
def load_contract(stream: str) -> Contract:
    """The contract of a stream; `ContractBroken` if there is none or its YAML is not a contract."""
    from open_data_contract_standard.model import OpenDataContractStandard

    file = FOLDER / f"{stream}.odcs.yaml"
    if stream not in FILES:
        raise ContractBroken(
            f"There is no contract for the stream `{stream[:40]}`. Retrying cannot clear this.",
            next_step="update the hub, if the store runs a newer version",
            stream=stream[:40],
        )
    try:
        standard = OpenDataContractStandard.from_string(file.read_text(encoding="utf-8"))
        limits = {entry.property: entry.value for entry in standard.customProperties or []}
        files = {str(entry.name): _file(entry) for entry in standard.schema_ or []}
        return Contract(
            stream=stream,
            version=str(standard.version),
            files=files,
            reject_above_share=float(limits.get("rejectBatchAboveShare") or 0),
            reject_above_documents=int(limits.get("rejectBatchAboveDocuments") or 0),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ContractBroken(
            f"The contract {file.name} cannot be read ({type(error).__name__}). Retrying cannot clear this.",
            next_step="install tillbridge again",
            file=file.name,
        ) from error


def waivers_of(stream: str) -> dict[str, str]:
    """Rule of a stream's contract that a person may waive -> what that does."""
    files = load_contract(stream).files.values()
    return {rule.name: rule.waiver for file in files for rule in file.rules if rule.waiver}


def build_suite(file: FileContract) -> gx.ExpectationSuite:
    """The rules of a file as an expectation suite; each carries its rule's name in `meta`."""
    import great_expectations as gx
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.metadata_types import FailureSeverity

    return gx.ExpectationSuite(
        name=file.role,
        expectations=[
            ExpectationConfiguration(
                type=rule.expectation,
                kwargs=dict(rule.kwargs),
                meta={"rule": rule.name},
                severity=FailureSeverity(rule.severity),
            ).to_domain_obj()
            for rule in file.rules
        ],
    )


# -- reading the YAML -----------------------------------------------------------------------------------
def _file(entry: SchemaObject) -> FileContract:
    about = {custom.property: custom.value for custom in entry.customProperties or []}
    subject = str(about["subject"])
    rules: list[Rule] = []
    for column in entry.properties or []:
        rules += _option_rules(column, subject, str(about.get("fix", FIX)))
        rules += [_quality_rule(quality) for quality in column.quality or []]
    rules += [_quality_rule(quality) for quality in entry.quality or []]
    return FileContract(
        role=str(entry.name),
        columns={str(column.name): column.physicalType for column in entry.properties or []},  # type: ignore[misc]
        subject=subject,
        computed=dict(about.get("computed") or {}),
        rules=tuple(rules),
    )


def _quality_rule(quality: DataQuality) -> Rule:
    implementation = quality.implementation
    if quality.engine != ENGINE or not isinstance(implementation, dict):
        raise ValueError(f"the rule {quality.name} is not written for {ENGINE}")
    meta = implementation["meta"]
    if quality.severity not in ("critical", "warning"):
        raise ValueError(f"the rule {quality.name} has no severity")
    return Rule(
        name=str(quality.name),
        severity="critical" if quality.severity == "critical" else "warning",
        expectation=implementation["type"],
        kwargs=implementation["kwargs"],
        sentence=meta["sentence"],
        fix=meta["fix"],
        unless=frozenset(meta.get("unless", ())),
        waiver=str(meta.get("waiver", "")),
    )


def _option_rules(column: SchemaProperty, subject: str, fix: str) -> Iterator[Rule]:
    """The options of a column as critical rules."""
    name, options = str(column.name), dict(column.logicalTypeOptions or {})
    about = {custom.property: custom.value for custom in column.customProperties or []}

    def rule(suffix: str, expectation: str, what: str, **kwargs: Any) -> Rule:
        return Rule(
            name=f"{name}_{suffix}",
            severity="critical",
            expectation=expectation,
            kwargs={"column": name, **kwargs},
            sentence=f"{subject}: `{name}` {what}.",
            fix=fix,
            waiver=str(about.get(f"waiver_{suffix}") or ""),
        )

    if (least := options.pop("minLength", None)) is not None:
        yield rule("blank", "expect_column_value_lengths_to_be_between", "is empty", min_value=least)
    if (most := options.pop("maxLength", None)) is not None:
        what = f"has {{{name}:length}} characters; {most} are allowed"
        yield rule("too_long", "expect_column_value_lengths_to_be_between", what, max_value=most)
    if (pattern := options.pop("pattern", None)) is not None:
        # `$` of Python also matches before a line end, which the pattern of the contract does not mean.
        yield rule(
            "form",
            "expect_column_values_to_match_regex",
            "does not have the form it should",
            regex=f"{pattern}(?!\\n)",
        )
    low, high = options.pop("minimum", None), options.pop("maximum", None)
    below = options.pop("exclusiveMaximum", None)
    if options:
        raise ValueError(f"the options {sorted(options)} of {name} are not supported")
    if not (low is None and high is None and below is None):
        bounds = " and ".join(
            [f"at least {low}"] * (low is not None)
            + [f"at most {high}"] * (high is not None)
            + [f"before {below}"] * (below is not None)
        )
        yield rule(
            "out_of_range",
            "expect_column_values_to_be_between",
            f"is {{{name}}}; it has to be {bounds}",
            min_value=_bound(low),
            max_value=_bound(below if high is None else high),
            strict_max=below is not None,
        )


def _bound(value: Any) -> Any:
    """Bounds of dates and timestamps are texts in the standard; they are compared without zone, in UTC."""
    return datetime.fromisoformat(value).replace(tzinfo=None) if isinstance(value, str) else value


class _Sentences(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> Any:
        if format_spec == "money":
            return show_money(int(value))
        if format_spec == "units":
            return show_units(int(value))
        if format_spec == "length":
            return f"{len(value)}"
        if format_spec:
            raise ValueError(f"unknown format {format_spec}")
        # A sentence is one line, whatever a cell holds.
        return "".join(letter if letter.isprintable() else " " for letter in str(value))


_SENTENCES = _Sentences()
