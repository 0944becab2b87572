"""What a batch, its acknowledgement and a head say about themselves; both sides know only this.

A batch is a few CSV files and one manifest, and the manifest is the commit: files without one do not
exist. All records are JSON with a `signature` field, empty until keys are handed out.

Names in a stream's folder `<store>/<stream>/`:

    000412-9f2c51d07ab3.tickets.csv       a file of the batch
    000412-9f2c51d07ab3.manifest.json     the commit
    acks/000412-9f2c51d07ab3.ack.json     the hub's answer
    acks/outstanding.json                 what the hub still lacks (in the orders stream only)
    archive/...                           what the hub has taken in, files and manifest
    archive/cleaned.json                  up to where it was cleaned away (in the orders stream only)
    head.json                             where the publisher stands; written only by it
"""

from __future__ import annotations

import json
import re
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_contracts.errors import BatchAltered, ContractBroken
from data_contracts.sending_again import send_again

SCHEMA_VERSION = 2
"""Version of the contracts the files follow; the hub refuses one it does not know."""

READABLE_VERSIONS = (1, 2)
"""Version 1 had no orders (layaways, backorders): files of a role it does not list are empty."""

HEAD_NAME = "head.json"
ACKS_FOLDER = "acks"
ARCHIVE_FOLDER = "archive"
MANIFEST_SUFFIX = ".manifest.json"
ACK_SUFFIX = ".ack.json"
OUTSTANDING_NAME = "outstanding.json"
CLEANED_NAME = "cleaned.json"

_BATCH_NAME = re.compile(r"^(?P<sequence>[0-9]{6,})-(?P<batch_id>[0-9a-f]{12})$")


class Record(BaseModel):
    """A frozen JSON record that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    signature: str | None = None

    def to_json(self) -> bytes:
        """UTF-8, indented, ending in a newline: an operator may open it."""
        return (self.model_dump_json(indent=2) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Self:
        """Parse; `ContractBroken` names `where` and what is wrong, never the values."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}"
                for e in error.errors(include_input=False, include_url=False)[:5]
            )
            raise ContractBroken(
                f"{where} is not a readable {cls.__name__.lower()}: {faults}. Retrying cannot clear this.",
                next_step="let `tillbridge reconcile` name what is missing in the hub, then run "
                "`tillbridge resend STORE --numbers FIRST-LAST` at the store",
                file=where,
            ) from error


class Mark(BaseModel):
    """How far a store has been read: everything with a DBTimeStamp up to `rowversion`.

    The next three are the highest TransactionNumber, TransactionEntry.ID and TenderEntry.ID read so far;
    they only limit the scans of an ordinary cycle. `order_history_id` counts in a start mark alone: later
    deposits have a higher OrderHistory.ID.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rowversion: int = 0
    ticket_number: int = 0
    entry_id: int = 0
    tender_entry_id: int = 0
    order_history_id: int = 0


class Waiting(BaseModel):
    """A document to be read again by its key: RMS had not finished writing it.

    A baseline puts the orders that are open on the list, so that the first export publishes them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    number: int
    first_seen_utc: str


class EpochStart(BaseModel):
    """Ticket numbers above `after_number`, and order numbers above `after_order`, belong to `epoch`.

    Until the next epoch's start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    after_number: int = 0
    after_order: int = 0


class LastTicket(BaseModel):
    """The newest ticket published, by which a restored or replaced database is recognised.

    `time` and `first_entry_id` never change in a database: another time or another ticket's line under
    them is another database. Another `revision` is not: lines and tenders can change or go.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    revision: str
    time: str = ""
    """[Transaction].Time as RMS has it, local, to the second; empty where unknown."""
    first_entry_id: int = 0
    """The lowest TransactionEntry.ID of the ticket; 0 if it had no line."""


class Position(BaseModel):
    """Where the next export of a stream resumes; travels in each manifest and stands in the head."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resume: Mark = Mark()
    """Ordinary cycles go on from here."""
    swept: Mark = Mark()
    """Sweeps go on from here; only a sweep moves it."""
    start: Mark = Mark()
    """The start mark that the baseline fixed."""
    waiting: tuple[Waiting, ...] = ()
    last_ticket: LastTicket | None = None
    epochs: tuple[EpochStart, ...] = (EpochStart(epoch=1),)
    history: tuple[tuple[int, int], ...] = ()
    """Ticket numbers that RMS held at the start mark, as ranges with both ends: never exported."""
    closed_orders: tuple[tuple[int, int], ...] = ()
    """Numbers of orders that were closed at the start mark, likewise: not exported unless opened again."""
    open_orders: tuple[int, ...] = ()
    """Orders published as open and not yet as closed, ascending; by them a deleted order is noticed."""

    def epoch_of(self, number: int) -> int:
        """The epoch a ticket number belongs to: the newest one that starts below it."""
        fitting = [e.epoch for e in self.epochs if number > e.after_number]
        return max(fitting, default=self.epochs[0].epoch)

    def epoch_of_order(self, number: int) -> int:
        """The epoch an order number belongs to, likewise."""
        fitting = [e.epoch for e in self.epochs if number > e.after_order]
        return max(fitting, default=self.epochs[0].epoch)

    def waiting_numbers(self, source: str) -> dict[int, Waiting]:
        """number -> its entry, of the waiting documents of one source."""
        return {entry.number: entry for entry in self.waiting if entry.source == source}


class BatchFile(BaseModel):
    """One CSV file of a batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: str
    """What is in it, e.g. `tickets` (`documents.FILES`)."""
    name: str
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(Record):
    """The commit of a batch."""

    schema_version: int = SCHEMA_VERSION
    program_version: str
    store: str
    epoch: int
    stream: Literal["baseline", "orders", "statement", "products"]
    sequence: int = Field(ge=1)
    batch_id: str = Field(pattern=r"^[0-9a-f]{12}$")
    created_utc: str
    files: tuple[BatchFile, ...]
    documents: int = Field(default=0, ge=0)
    units: int = 0
    """Sum of quantities of tickets in ten-thousandths."""
    money: int = 0
    """Sum of totals of tickets in ten-thousandths."""
    orders: int = Field(default=0, ge=0)
    """How many of the documents are orders (layaways, backorders)."""
    deposits: int = 0
    """Sum of their OrderHistory.DeltaDeposit, raw, in ten-thousandths."""
    bound: int = 0
    """Rows with a DBTimeStamp below this were readable when the batch was read."""
    range_from: Mark = Mark()
    """`range`: what was read lies above this mark ..."""
    range_to: Mark = Mark()
    """... and up to this one."""
    position: Position = Position()
    """Where the next export resumes once this batch is published."""
    before_baseline: int = 0
    """Changed tickets older than the baseline that were left alone."""
    replaces: int | None = None
    """Sequence of the rejected or lost batch whose range this one exports again; where that takes several
    batches, in the last of them."""

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Self:
        """Parse; `ContractBroken` names another version of the contracts before anything else."""
        try:
            version = json.loads(data).get("schema_version", SCHEMA_VERSION)
        except (ValueError, AttributeError):
            version = SCHEMA_VERSION  # no JSON object: the base class says so
        if version not in READABLE_VERSIONS:
            raise ContractBroken(
                f"{where} follows version {version} of the contracts, this program knows version "
                f"{SCHEMA_VERSION}. Retrying cannot clear this.",
                next_step="bring store and hub to the same version of tillbridge",
                file=where,
            )
        return super().from_json(data, where)

    @property
    def name(self) -> str:
        """`000412-9f2c51d07ab3`."""
        return batch_name(self.sequence, self.batch_id)

    @property
    def path(self) -> str:
        """How people name the batch: `S1/orders/000412-9f2c51d07ab3`."""
        return f"{self.store}/{self.stream}/{self.name}"

    def file(self, role: str) -> BatchFile:
        """The file with that role; `BatchAltered` if the manifest lists none."""
        for entry in self.files:
            if entry.role == role:
                return entry
        raise BatchAltered(
            f"The manifest of {self.path} lists no file `{role}`. Retrying cannot clear this.",
            next_step=send_again(self.path),
            batch=self.path,
        )


class Reason(BaseModel):
    """Why a document (or a whole batch) was not accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    document: str | None = None
    rule: str
    message: str
    fix: str = ""


class ProductAnswer(BaseModel):
    """What became of one product of a `products` batch at the till."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sku: str
    revision: str
    state: Literal["created", "updated", "unchanged", "refused", "superseded"]
    """superseded: a newer batch was applied before, this one changed nothing."""
    rule: str = ""
    message: str = ""
    """Why it was refused, for people; empty otherwise."""
    fix: str = ""
    notes: tuple[str, ...] = ()
    """What was cut or left out to fit RMS."""

    @property
    def at_till(self) -> bool:
        """Whether the till now shows this revision."""
        return self.state in ("created", "updated", "unchanged")


class Acknowledgement(Record):
    """The answer to a batch, after its transaction committed: the hub's; of products, the store's."""

    store: str
    stream: str
    sequence: int
    batch_id: str
    state: Literal["accepted", "rejected"]
    accepted: int = 0
    quarantined: int = 0
    seen_before: int = 0
    reasons: tuple[Reason, ...] = ()
    products: tuple[ProductAnswer, ...] = ()
    """Of a `products` batch: an answer for each of its products."""
    acknowledged_utc: str


class Outstanding(Record):
    """What the hub still lacks of a store's batches: one file to read there, instead of every answer."""

    store: str
    entries: tuple[Reason, ...] = ()
    """Batches that were rejected or never came and that nothing has replaced yet, and what to do."""
    as_of_utc: str


class Cleaned(Record):
    """How far the archive of a stream was cleaned: what is not there any more is not lost, but taken in.

    No batch above `sequence` was removed, and none that was removed held a ticket above `ticket` or an order
    above `order` that counts today.
    """

    store: str
    stream: str
    sequence: int
    ticket: int = 0
    order: int = 0
    position: Position = Position()
    """Where the stream stood after that batch."""
    as_of_utc: str


class Head(Record):
    """Where the publisher of a stream stands. The greater of head and newest manifest counts."""

    store: str
    stream: str
    sequence: int
    batch_id: str
    position: Position = Position()
    checked_utc: str = ""
    """When the publisher last looked, also if there was nothing to publish."""
    held_back: int = Field(default=0, ge=0)
    """Tickets that could not be read then, because a transaction in RMS was open since before them."""


def batch_name(sequence: int, batch_id: str) -> str:
    """The common part of the names of a batch's files."""
    return f"{sequence:06d}-{batch_id}"


def parse_batch_name(name: str) -> tuple[int, str] | None:
    """(sequence, batch id) of a manifest's or acknowledgement's file name; None for any other file."""
    for suffix in (MANIFEST_SUFFIX, ACK_SUFFIX):
        if name.endswith(suffix):
            found = _BATCH_NAME.match(name.removesuffix(suffix))
            return (int(found["sequence"]), found["batch_id"]) if found else None
    return None


def batch_of_file(name: str) -> tuple[int, str] | None:
    """(sequence, batch id) of the batch that a file belongs to by its name; None for `head.json` and such."""
    found = _BATCH_NAME.match(name.partition(".")[0])
    return (int(found["sequence"]), found["batch_id"]) if found else None
