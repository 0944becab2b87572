from __future__ import annotations

from collections import Counter
from pathlib import Path

from sqlalchemy import create_engine, func, select

from data_contracts.amounts import format_amount
from deployments.sample_store.bulk import build_large
from deployments.sample_store.store import SampleStore
from deployments.sample_store.tickets import Invoice
from tasks.rms import tables as rms
from tasks.rms.dialects import current_rowversion

ticket, entry = rms.transaction.c, rms.transaction_entry.c


def write_source(file: Path, invoices: list[Invoice]) -> None:
    rows = ["InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,Country\n"]
    rows += [
        f"{invoice.number},{line.code},NAME,{line.quantity // 10_000},{invoice.time},"
        f"{format_amount(line.price)},UK\n"
        for invoice in invoices
        for line in invoice.lines
    ]
    file.write_text("".join(rows), encoding="utf-8")


def test_large_store_has_exactly_the_lines_asked_for_and_can_be_rung_on(
    any_url: str, tmp_path: Path, short_invoices: list[Invoice]
) -> None:
    write_source(tmp_path / "source.csv", short_invoices[:80])

    build_large(any_url, lines=1_000, seed=1, path=tmp_path / "source.csv")

    engine = create_engine(any_url)
    with engine.connect() as connection:
        assert (
            connection.execute(select(func.count()).select_from(rms.transaction_entry)).scalar_one() == 1_000
        )
        numbers = connection.execute(select(ticket.TransactionNumber)).scalars().all()
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
        assert len(numbers) > 240  # the invoices more than three times over
        rowversions = [
            value
            for table in (rms.transaction, rms.transaction_entry, rms.tax_entry, rms.tender_entry, rms.batch)
            for value in connection.execute(select(table.c.DBTimeStamp)).scalars()
        ]
        assert len(set(rowversions)) == len(rowversions)
        assert max(rowversions) <= current_rowversion(connection)
        totals = dict(connection.execute(select(ticket.TransactionNumber, ticket.Total)).tuples().all())
        lines: Counter[int] = Counter()
        for number, quantity, price in connection.execute(
            select(entry.TransactionNumber, entry.Quantity, entry.Price)
        ):
            lines[number] += int(quantity) * price
        assert {number: lines[number] for number in totals} == totals
    engine.dispose()
    with SampleStore.open(any_url) as store:
        assert store.ring_sale([(short_invoices[0].lines[0].code, 1)]).number == len(numbers) + 1
