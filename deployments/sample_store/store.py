"""A sample store one can ring in: its script day by day, or single tickets by hand.

Every ticket is one transaction, as at a till. Only for databases with our mark.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from types import TracebackType
from typing import NamedTuple, Self

from sqlalchemy import Connection, Engine, func, insert, select, update

from data_contracts.amounts import SCALE
from data_contracts.documents import sku_key
from data_contracts.errors import ConfigurationError
from deployments.sample_store import bulk, marker, ring
from deployments.sample_store.build import item_row
from deployments.sample_store.catalog import STANDARD, SampleItem
from deployments.sample_store.plan import Entry
from deployments.sample_store.tickets import InvoiceLine
from tasks import faults
from tasks.rms import tables as rms

GAP = "gap"


class Rung(NamedTuple):
    """What was rung: the RMS number and what it means: sale, return, exchange, void, or gap (burned)."""

    number: int
    kind: str
    late: bool = False
    """Whether it filled a number of long ago."""


@dataclass
class SampleStore:
    """An open sample store; use it as a context manager, or close it."""

    engine: Engine
    mark: marker.Mark

    def __post_init__(self) -> None:
        self._items: dict[str, ring.StockItem] = {}
        with self.engine.connect() as connection:
            self.shop = ring.read_shop(connection)

    @classmethod
    def open(cls, url: str) -> Self:
        """The store at that URL; `ConfigurationError` if it is not one of ours."""
        engine = marker.sample_engine(url)
        try:
            return cls(engine, marker.require_mark(engine))
        except BaseException:
            engine.dispose()
            raise

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the script ---------------------------------------------------------------------------------
    def days(self) -> list[date]:
        """Business dates on which the script still has something to ring."""
        day = marker.script.c.day
        with self.engine.connect() as connection:
            return list(
                connection.execute(
                    select(day).where(marker.script.c.rung_as.is_(None)).distinct().order_by(day)
                ).scalars()
            )

    def ring_day(self, day: date) -> list[Rung]:
        """Ring all that is left of the script up to and with that business date."""
        return self._ring_entries(until=day)

    def ring_next(self, count: int) -> list[Rung]:
        """Ring the next `count` entries of the script."""
        return self._ring_entries(count=count)

    def write_history(self, tickets: int) -> list[int]:
        """Write tickets of the weeks before the script in bulk, and return their numbers.

        They are what a store already holds when tillbridge is set up. `ConfigurationError` if the store
        has tickets or nothing in its script.
        """
        with self.engine.begin() as connection:
            if connection.execute(select(func.count()).select_from(rms.transaction)).scalar_one():
                raise ConfigurationError(
                    "History can only be written into a sample store without tickets.",
                    next_step="build the store anew",
                )
            self._require_script(connection)
            items = ring.read_items(connection)
            return bulk.write_tickets(
                connection, self.shop, items, seed=self.mark.seed, tickets=tickets, before=True
            )

    # -- single tickets -----------------------------------------------------------------------------
    def ring_sale(
        self, lines: Iterable[tuple[str, int]], *, at: datetime | None = None, tender: str = "CASH"
    ) -> Rung:
        """Ring `(sku, whole units)` lines at the items' prices; negative units come back."""
        with self._ticket() as connection:
            return self._ring_lines(
                connection,
                [
                    ring.ticket_line(self.shop, self._item(connection, sku), units * SCALE)
                    for sku, units in lines
                ],
                at=at or self._clock(connection),
                tender=tender,
            )

    def ring_void(self, number: int, *, at: datetime | None = None) -> Rung:
        """Void a ticket: all its lines and tenders with the other sign, RecallID its number."""
        with self._ticket() as connection:
            at = at or self._clock(connection)
            return self._void(connection, number, register=1, at=at)

    def ring_return(self, number: int, *, part: bool = False, at: datetime | None = None) -> Rung:
        """Return a sale by recall: all of it, or half the units of its first sold line."""
        with self._ticket() as connection:
            at = at or self._clock(connection)
            return self._recall(connection, number, register=1, at=at, part=part)

    def correct_tender(self, number: int) -> str:
        """Say that a ticket was paid otherwise (cash for card, anything else for cash); returns the code."""
        with self._ticket() as connection:
            t, codes = rms.tender_entry.c, rms.tender.c
            entry = connection.execute(
                select(t.ID, codes.Code)
                .join(rms.tender, t.TenderID == codes.ID)
                .where(t.TransactionNumber == number)
                .order_by(t.ID)
                .limit(1)
            ).first()
            if entry is None:
                raise ConfigurationError(
                    f"The sample store has no tender of ticket {number}.", next_step="name one that was paid"
                )
            wanted = "CARD" if entry.Code == "CASH" else "CASH"
            tender = connection.execute(select(codes.ID, codes.Description).where(codes.Code == wanted)).one()
            connection.execute(
                update(rms.tender_entry)
                .where(t.ID == entry.ID)
                .values(TenderID=tender.ID, Description=tender.Description)
            )
            return wanted

    def ring_unknown_item(self, *, at: datetime | None = None) -> tuple[int, str]:
        """Make a new item at the till and sell one of it; returns the ticket's number and the SKU."""
        with self._ticket() as connection:
            at = at or self._clock(connection)
            count = connection.execute(
                select(func.count()).select_from(rms.item).where(rms.item.c.ItemLookupCode.like("TILL-NEW-%"))
            ).scalar_one()
            new = SampleItem(f"TILL-NEW-{count + 1}", f"New at the till {count + 1}", STANDARD, 99_900, "")
            connection.execute(insert(rms.item), item_row(new, 10, at))
            line = ring.ticket_line(self.shop, self._item(connection, new.sku), SCALE)
            rung = self._ring_lines(connection, [line], at=at, tender="CASH")
            return rung.number, new.sku

    def ring_template(self, rng: random.Random, at: datetime) -> Rung:
        """Ring the lines of a real invoice, drawn from the script, as of `at`."""
        with self._ticket() as connection:
            self._require_script(connection)
            positions = connection.execute(
                select(marker.script.c.position)
                .where(marker.script.c.kind == "invoice")
                .order_by(marker.script.c.position)
            ).scalars()
            entry = self._entry(connection, rng.choice(list(positions)))
            entry = replace(entry, time=at, register=rng.randint(1, self.mark.registers))
            return self._ring_invoice(connection, entry, rng)

    # -- how ----------------------------------------------------------------------------------------
    def _ring_entries(self, *, until: date | None = None, count: int | None = None) -> list[Rung]:
        query = (
            select(marker.script)
            .where(marker.script.c.rung_as.is_(None))
            .order_by(marker.script.c.position)
            .limit(count)
        )
        if until is not None:
            query = query.where(marker.script.c.day <= until)
        with self.engine.connect() as connection:
            entries = [marker.unpack_entry(row) for row in connection.execute(query)]
        rungs = []
        for entry in entries:
            with self._ticket() as connection:
                rung = self._ring_entry(connection, entry)
                connection.execute(
                    update(marker.script)
                    .where(marker.script.c.position == entry.position)
                    .values(rung_as=rung.number)
                )
            rungs.append(rung)
        return rungs

    def _ring_entry(self, connection: Connection, entry: Entry) -> Rung:
        rng = random.Random(f"{self.mark.seed}/{entry.position}")  # noqa: S311 - reproducible on purpose
        if entry.kind == "gap":
            ring.open_batch(connection, self.shop, entry.register, entry.time)
            return Rung(ring.skip_numbers(connection, 1)[0], GAP)
        if entry.kind == "void":
            number = self._rung_as(connection, entry.of)
            return self._void(connection, number, register=entry.register, at=entry.time)
        if entry.kind in ("recall", "recall_part"):
            number = self._rung_as(connection, entry.of)
            part = entry.kind == "recall_part"
            return self._recall(connection, number, register=entry.register, at=entry.time, part=part)
        if entry.kind == "late":
            number = self._rung_as(connection, entry.of)
            return self._ring_invoice(connection, entry, rng, number=number)
        return self._ring_invoice(connection, entry, rng)

    def _ring_invoice(
        self, connection: Connection, entry: Entry, rng: random.Random, *, number: int | None = None
    ) -> Rung:
        lines = tuple(self._line(connection, line) for line in entry.lines)
        tenders = ring.choose_tenders(rng, ring.total(self.shop, lines))
        ticket = ring.Ticket(entry.time, entry.register, lines, tenders)
        number_rung = ring.ring_ticket(connection, self.shop, ticket, number=number)
        return Rung(number_rung, kind_of(lines), late=number is not None)

    def _void(self, connection: Connection, number: int, *, register: int, at: datetime) -> Rung:
        lines, tenders = self._read(connection, number)
        back, paid_back = ring.mirrored(lines, tenders)
        ticket = ring.Ticket(at, register, back, paid_back, ring.VOID, number)
        return Rung(ring.ring_ticket(connection, self.shop, ticket), "void")

    def _recall(
        self, connection: Connection, number: int, *, register: int, at: datetime, part: bool
    ) -> Rung:
        lines, tenders = self._read(connection, number)
        if part:
            first = next((line for line in lines if line.quantity > 0), None)
            if first is None:
                raise ConfigurationError(
                    f"Ticket {number} of the sample store sold nothing that could come back.",
                    next_step="name a sale",
                )
            units = -(-first.quantity // (2 * SCALE)) * SCALE
            returned: Sequence[ring.TicketLine] = [
                ring.ticket_line(self.shop, first.item, -units, first.price)
            ]
        else:
            returned, _ = ring.mirrored(lines, tenders)
        due = ring.total(self.shop, returned)
        paid_back = ((tenders[0][0] if tenders else "CASH", due),) if due else ()
        ticket = ring.Ticket(at, register, tuple(returned), paid_back, ring.RECALLED_RETURN, number)
        return Rung(ring.ring_ticket(connection, self.shop, ticket), "return")

    def _ring_lines(
        self, connection: Connection, lines: Sequence[ring.TicketLine], *, at: datetime, tender: str
    ) -> Rung:
        due = ring.total(self.shop, lines)
        ticket = ring.Ticket(at, 1, tuple(lines), ((tender, due),) if due else ())
        return Rung(ring.ring_ticket(connection, self.shop, ticket), kind_of(lines))

    def _read(
        self, connection: Connection, number: int
    ) -> tuple[list[ring.TicketLine], list[tuple[str, int]]]:
        lines, tenders = ring.read_ticket(connection, number)
        if not lines:
            raise ConfigurationError(
                f"The sample store has no ticket {number}.", next_step="name one that was rung"
            )
        return lines, tenders

    def _line(self, connection: Connection, line: InvoiceLine) -> ring.TicketLine:
        return ring.ticket_line(self.shop, self._item(connection, line.code), line.quantity, line.price)

    def _item(self, connection: Connection, sku: str) -> ring.StockItem:
        key = sku_key(sku)
        if key not in self._items:
            self._items = ring.read_items(connection)
        found = self._items.get(key)
        if found is None:
            raise ConfigurationError(f"The sample store has no item `{sku}`.", next_step="name one it has")
        return found

    def _entry(self, connection: Connection, position: int) -> Entry:
        row = connection.execute(select(marker.script).where(marker.script.c.position == position)).one()
        return marker.unpack_entry(row)

    def _rung_as(self, connection: Connection, position: int | None) -> int:
        """The number an earlier entry was rung under, or burned."""
        rung_as = marker.script.c.rung_as
        return int(
            connection.execute(select(rung_as).where(marker.script.c.position == position)).scalar_one()
        )

    def _clock(self, connection: Connection) -> datetime:
        """A minute after the newest ticket; nine o'clock of the script's first day before any."""
        newest = connection.execute(select(func.max(rms.transaction.c.Time))).scalar()
        if newest is not None:
            return newest + timedelta(minutes=1)  # type: ignore[no-any-return]
        first = connection.execute(select(func.min(marker.script.c.day))).scalar()
        return datetime.fromisoformat(f"{first or '2010-12-01'} 09:00")

    def _require_script(self, connection: Connection) -> None:
        if connection.execute(select(func.count()).select_from(marker.script)).scalar_one() == 0:
            raise ConfigurationError(
                "The sample store has an empty script: there are no invoices to take lines from.",
                next_step="build the store with invoices",
            )

    @contextmanager
    def _ticket(self) -> Iterator[Connection]:
        """One transaction for one ticket."""
        with self.engine.begin() as connection:
            yield connection
        faults.point("sample.ticket_committed")


def kind_of(lines: Sequence[ring.TicketLine]) -> str:
    """What a fresh ticket means by the signs of its lines."""
    back = any(line.quantity < 0 for line in lines)
    out = any(line.quantity > 0 for line in lines)
    if back:
        return "exchange" if out else "return"
    return "sale" if out or sum(line.extended for line in lines) >= 0 else "return"
