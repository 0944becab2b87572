from __future__ import annotations

import lzma
from collections import Counter
from datetime import date, datetime
from pathlib import Path

import pytest

from data_contracts.errors import ConfigurationError
from deployments.sample_store.tickets import (
    SLICE,
    Invoice,
    InvoiceLine,
    business_days,
    make_slice,
    read_invoices,
    split_invoices,
    sum_of_lines,
)

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


def test_slice_has_the_control_totals_its_readme_states(invoices: list[Invoice]) -> None:
    lines = [line for invoice in invoices for line in invoice.lines]
    cancels = [invoice for invoice in invoices if invoice.number.startswith("C")]
    write_offs = [
        line for invoice in invoices if invoice not in cancels for line in invoice.lines if line.quantity < 0
    ]

    assert (len(invoices), len(cancels), len(lines)) == (1_230, 150, 26_732)
    assert sum_of_lines(invoices) == 4_521_342_800  # 452,134.28
    assert sum_of_lines(cancels) == -632_303_600  # -63,230.36
    assert sum(line.quantity for line in lines) == 1_975_100_000  # 197,510 units
    assert len(write_offs) == 67
    assert sum(line.price == 0 for line in lines) == 185
    assert sum(n - 1 for invoice in invoices for n in Counter(invoice.lines).values()) == 408
    assert len({line.code for line in lines}) == 2_573
    assert len({line.code.upper() for line in lines}) == 2_525


def test_slice_covers_the_first_ten_trading_days(invoices: list[Invoice]) -> None:
    days = business_days(invoices)

    assert (len(days), days[0], days[-1]) == (10, date(2010, 12, 1), date(2010, 12, 12))
    assert [invoice.time for invoice in invoices] == sorted(invoice.time for invoice in invoices)


def test_slice_says_nothing_of_customers() -> None:
    with lzma.open(SLICE, "rt", encoding="utf-8") as stream:
        header = stream.readline()

    assert header == "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,Country\n"


def test_slicing_twice_gives_the_same_bytes_and_drops_later_days(tmp_path: Path) -> None:
    full = tmp_path / "full.csv"
    full.write_text(
        HEADER
        + '536365,85123A,"HOLDER, WHITE",6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n'
        + "540000,85123A,HOLDER,1,2010-12-13 08:00:00,2.55,17850,United Kingdom\n",
        encoding="utf-8",
    )

    assert make_slice(full, tmp_path / "one.csv.xz") == 1
    assert make_slice(full, tmp_path / "two.csv.xz") == 1

    one = (tmp_path / "one.csv.xz").read_bytes()
    assert one == (tmp_path / "two.csv.xz").read_bytes()
    assert b"17850" not in lzma.decompress(one)
    assert read_invoices(tmp_path / "one.csv.xz") == [
        Invoice(
            "536365",
            datetime(2010, 12, 1, 8, 26),  # noqa: DTZ001 - RMS times have no zone
            (InvoiceLine("85123A", "HOLDER, WHITE", 60_000, 25_500),),
        )
    ]


def test_codes_longer_than_rms_allows_are_cut(tmp_path: Path) -> None:
    full = tmp_path / "full.csv"
    full.write_text(HEADER + f"1,{'X' * 30},LONG,1,2010-12-01 08:26:00,0.001,1,UK\n", encoding="utf-8")

    (invoice,) = read_invoices(full)

    assert invoice.lines == (InvoiceLine("X" * 25, "LONG", 10_000, 10),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "InvoiceNo,StockCode\n1,2\n",
            "has no column Description, Quantity, InvoiceDate, UnitPrice, Country",
        ),
        (HEADER + "1,X,Y,one,2010-12-01 08:26:00,1,1,UK\n", "cannot be read"),
        (HEADER + "1,X,Y,1,2010-12-01 08:26:00,0.00001,1,UK\n", "cannot be read"),
    ],
)
def test_file_of_another_kind_is_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "tickets.csv"
    file.write_text(content, encoding="utf-8")

    with pytest.raises(ConfigurationError, match=message):
        read_invoices(file)


def test_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.csv cannot be read"):
        read_invoices(tmp_path / "nowhere.csv")


def test_every_line_of_every_invoice_lands_in_exactly_one_store(invoices: list[Invoice]) -> None:
    shares = split_invoices(invoices, 3, seed=7)

    numbers = [invoice.number for share in shares for invoice in share]
    assert Counter(numbers) == Counter(invoice.number for invoice in invoices)
    assert sum(len(invoice.lines) for share in shares for invoice in share) == 26_732
    assert sum(sum_of_lines(share) for share in shares) == sum_of_lines(invoices)
    assert all(len(share) > 380 for share in shares)


def test_split_depends_on_seed_and_number_only(invoices: list[Invoice]) -> None:
    one = split_invoices(invoices, 2, seed=7)

    assert split_invoices(invoices, 2, seed=7) == one
    assert split_invoices(invoices, 2, seed=8) != one
    assert split_invoices(invoices[100:], 2, seed=7)[0] == [i for i in one[0] if i in invoices[100:]]
