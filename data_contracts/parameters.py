"""The parameters of the flows: small models that Prefect renders as forms and checks before a run starts."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_STORE = r"^[A-Za-z0-9_-]{1,20}$"


# Prefect puts a title and a description of its own over those of a parameter's `Field`; what stands in
# `json_schema_extra` reaches the form.
DryRun = Annotated[
    bool,
    Field(
        json_schema_extra={
            "description": "On: only work out and report what the run would do. Off: do it.",
        }
    ),
]
"""Whether a flow changes nothing. The form says so under the switch."""


class Scope(BaseModel):
    """A frozen set of parameters; unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ExportScope(Scope):
    """What is read at the store."""

    store: str = Field(
        pattern=_STORE, description="Store code, as in tillbridge.toml.", json_schema_extra={"position": 0}
    )
    sweep: bool = Field(
        default=False,
        description="Also find changes of old tickets (runs once a day on its own).",
        json_schema_extra={"position": 1},
    )


class StoreScope(Scope):
    """Which store the products are for."""

    store: str = Field(
        pattern=_STORE, description="Store code, as in tillbridge.toml.", json_schema_extra={"position": 0}
    )


class StatementScope(Scope):
    """What the statement covers."""

    store: str = Field(
        pattern=_STORE, description="Store code, as in tillbridge.toml.", json_schema_extra={"position": 0}
    )
    days: int | None = Field(
        default=35,
        ge=1,
        le=3660,
        description="Business days back from the newest one; empty for everything since the baseline.",
        json_schema_extra={"position": 1},
    )


class HubScope(Scope):
    """Which stores are looked at."""

    stores: tuple[str, ...] = Field(
        default=(), description="Store codes; empty for all stores of tillbridge.toml."
    )

    @property
    def label(self) -> str:
        """How the run is named: its stores, or `all`."""
        return "-".join(self.stores) or "all"


class CatalogScope(Scope):
    """What is taken into the hub, and whether it goes on to the stores."""

    file: str = Field(
        default="",
        description="CSV on the hub's machine; a relative path starts at the folder of tillbridge.toml. "
        "Empty: `file` of [catalog].",
        json_schema_extra={"position": 0},
    )
    again: bool = Field(
        default=False,
        description="Also look at the file that was imported last, to see what was refused.",
        json_schema_extra={"position": 1},
    )
    export: bool = Field(
        default=True,
        description="Send what has changed to the stores right after.",
        json_schema_extra={"position": 2},
    )

    @property
    def label(self) -> str:
        """How the run is named: the file's own name."""
        return re.split(r"[/\\]", self.file)[-1] or "catalog"


class ProductScope(HubScope):
    """Which stores products are sent to."""

    retry: bool = Field(
        default=False,
        description="Send at once what a till has refused, without waiting for its turn.",
    )


class ReceiptScope(Scope):
    """The goods that arrived."""

    file: str = Field(
        min_length=1,
        description="CSV `warehouse,sku,quantity` on the hub's machine; a relative path starts at the folder "
        "of tillbridge.toml.",
        json_schema_extra={"position": 0},
    )
    reference: str | None = Field(
        default=None,
        min_length=1,
        max_length=80,
        description="Name of the receipt, such as a delivery note; a name counts once. Empty: made of the "
        "file's content.",
        json_schema_extra={"position": 1},
    )

    @property
    def label(self) -> str:
        """How the run is named: the reference, else the file's own name."""
        return self.reference or re.split(r"[/\\]", self.file)[-1]


_DOCUMENT = r"^[A-Za-z0-9_-]{1,20}/[0-9]{1,10}/(ticket|order|opening)/[0-9]{1,18}$"
_EDIT = r"^[a-z_]+(/[A-Za-z0-9_-]+){1,2}=.*$"
_RULE = r"^[a-z_]{1,60}$"


class DeskScope(Scope):
    """What is done with which documents, and who says so."""

    action: Literal["release", "discard", "edit", "recheck"] = Field(
        default="release",
        description="release: judge again with all edits and book what is good. discard: put aside for good. "
        "edit: change cells, rows as exported stay. recheck: judge all that waits in the documents' stores.",
        json_schema_extra={"position": 0},
    )
    documents: tuple[Annotated[str, Field(pattern=_DOCUMENT)], ...] = Field(
        default=(),
        max_length=500,
        description="As the quarantine names them: S1/1/ticket/10452. To edit, one; to recheck all stores, "
        "none.",
        json_schema_extra={"position": 1},
    )
    edits: tuple[Annotated[str, Field(pattern=_EDIT, max_length=200)], ...] = Field(
        default=(),
        max_length=100,
        description="Only to edit: file/row/column=value, such as ticket_lines/2/sku=ABC or "
        "header/total=9.99; the value as exported takes an edit back.",
        json_schema_extra={"position": 2},
    )
    accept: tuple[Annotated[str, Field(pattern=_RULE)], ...] = Field(
        default=(),
        description="Only to release: rules that you have looked at and waive, such as total_mismatch.",
        json_schema_extra={"position": 3},
    )
    why: str = Field(
        default="",
        max_length=500,
        description="The reason, kept for good; needed for all but recheck.",
        json_schema_extra={"position": 4},
    )
    by: str = Field(
        min_length=1,
        max_length=80,
        pattern=r"\S",
        description="Who decides: your name.",
        json_schema_extra={"position": 5},
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        """What the fields cannot say of each other, before anything starts."""
        editing, releasing = self.action == "edit", self.action == "release"
        if not self.documents and self.action != "recheck":
            raise ValueError(f"say which documents to {self.action}")
        if editing and (len(self.documents) != 1 or not self.edits):
            raise ValueError("an edit is of one document and has at least one change")
        if self.edits and not editing:
            raise ValueError(f"edits belong to the action edit, not to {self.action}")
        if self.accept and not releasing:
            raise ValueError(f"waived rules belong to the action release, not to {self.action}")
        if not self.why.strip() and self.action != "recheck":
            raise ValueError("say why: the reason is kept with the decision")
        return self

    @property
    def stores(self) -> tuple[str, ...]:
        """Those of the documents."""
        return tuple(sorted({document.split("/")[0] for document in self.documents}))

    @property
    def label(self) -> str:
        """How the run is named: what is done to what."""
        more = f"-and-{len(self.documents) - 1}-more" if len(self.documents) > 1 else ""
        return f"{self.action}-{self.documents[0] if self.documents else 'all'}{more}"


def _number(what: str, position: int) -> Any:
    return Field(default=None, ge=1, le=2**31 - 1, description=what, json_schema_extra={"position": position})


_RANGES = {
    "first_date": ("last_date", "string"),
    "first_ticket": ("last_ticket", "integer"),
    "first_order": ("last_order", "integer"),
}
_SELECTIONS = ("batch", *_RANGES)


def _once_given(name: str, **then: Any) -> dict[str, Any]:
    """A JSON schema for when a field is there, which a form sends as null if it is left empty."""
    return {"if": {"properties": {name: {"not": {"type": "null"}}}}, "then": then}


class ResendScope(Scope):
    """What `resend-period` sends once more: some business dates, or a batch, or some ticket or order numbers.

    Choose one of these. A range without its last end is the one day or number.
    """

    # Two selections, and an end without its beginning, are refused by the form. That one is chosen and that
    # ends are in order is for the run to check: no schema says it in words that a person understands.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "dependentSchemas": {
                **{
                    name: _once_given(
                        name, properties={other: {"const": None} for other in _SELECTIONS if other != name}
                    )
                    for name in _SELECTIONS
                },
                **{
                    last: _once_given(last, required=[first], properties={first: {"type": kind}})
                    for first, (last, kind) in _RANGES.items()
                },
            }
        },
    )

    store: str = Field(
        pattern=_STORE, description="Store code, as in tillbridge.toml.", json_schema_extra={"position": 0}
    )
    first_date: date | None = Field(
        default=None,
        description="First business date of a period, by the store's own rule.",
        json_schema_extra={"position": 1},
    )
    last_date: date | None = Field(
        default=None,
        description="Last business date; empty for the first one alone.",
        json_schema_extra={"position": 2},
    )
    batch: int | None = _number("Or: sequence of a batch that was rejected or lost.", 3)
    first_ticket: int | None = _number("Or: first ticket number.", 4)
    last_ticket: int | None = _number("Last ticket number; empty for the first one alone.", 5)
    first_order: int | None = _number("Or: first number of a layaway or backorder.", 6)
    last_order: int | None = _number("Last one of them; empty for the first one alone.", 7)

    @model_validator(mode="after")
    def _one_selection(self) -> Self:
        given = [self.first_date, self.batch, self.first_ticket, self.first_order]
        if sum(value is not None for value in given) != 1:
            raise ValueError("choose one: business dates, a batch, ticket numbers or order numbers")
        for name in ("date", "ticket", "order"):
            first, last = getattr(self, f"first_{name}"), getattr(self, f"last_{name}")
            if last is not None and (first is None or last < first):
                raise ValueError(f"last_{name} needs a first_{name} that is not after it")
        return self

    @property
    def dates(self) -> tuple[date, date] | None:
        """The business dates, both ends."""
        first = self.first_date
        return None if first is None else (first, self.last_date or first)

    @property
    def tickets(self) -> tuple[int, int] | None:
        """The ticket numbers, both ends."""
        return (
            None if self.first_ticket is None else (self.first_ticket, self.last_ticket or self.first_ticket)
        )

    @property
    def orders(self) -> tuple[int, int] | None:
        """The order numbers, both ends."""
        first = self.first_order
        return None if first is None else (first, self.last_order or first)

    @property
    def label(self) -> str:
        """How the run is named: `S1-batch-7`, `S1-2010-12-01..2010-12-03`."""
        if self.batch is not None:
            return f"{self.store}-batch-{self.batch}"
        for word, ends in (("", self.dates), ("tickets-", self.tickets), ("orders-", self.orders)):
            if ends is not None:
                return f"{self.store}-{word}{ends[0]}..{ends[1]}"
        return self.store
