"""What is written into a file is what comes out of it, and a file that is not whole says so."""

from __future__ import annotations

import random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.documents import TICKET_LINES, TICKETS, Kind
from data_contracts.errors import ContractBroken
from data_contracts.frames import read_rows, typed, write_csv
from tests.documents import make_batch, make_ticket

COLUMNS: dict[str, Kind] = {
    "sku": "text",
    "line": "integer",
    "quantity": "amount",
    "taxed": "boolean",
    "on": "date",
    "at": "timestamp",
}
NASTY = [
    "",
    " ",
    "NULL",
    "NA",
    "nan",
    "None",
    "=SUM(A1)",
    "+1",
    "-1",
    "@x",
    "\t",
    "\r",
    "\n",
    "\r\n",
    'say "é"',
    '"',
    ",",
    "a,b",
    "007",
    "1e5",
    " trailing ",
    "\ufeff",
    "日本",
    "\u2028",
    "\x0b\x1c",
]
TEXTS = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
)
AMOUNTS = st.integers(-(10**18) + 1, 10**18 - 1)
ROWS = st.lists(
    st.tuples(
        TEXTS,
        st.integers(-(2**63), 2**63 - 1),
        AMOUNTS,
        st.booleans(),
        st.dates().map(str),
        st.datetimes().map(lambda at: at.isoformat(timespec="milliseconds") + "Z"),
    ),
    max_size=5,
)
DTYPES = {
    "sku": "str",
    "line": "int64",
    "quantity": "int64",
    "taxed": "bool",
    "on": "str",
    "at": "str",
}


def frame_of(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    cells = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    return pd.DataFrame(
        {
            name: pd.Series(list(column), dtype=DTYPES[name])
            for name, column in zip(COLUMNS, cells, strict=True)
        }
    )


def whole(*rows: str) -> bytes:
    return "\n".join(["sku,line,quantity,taxed,on,at", *rows, ""]).encode()


GOOD = "A,1,1.0000,true,2026-11-23,2026-11-23T08:15:30.123Z"


@given(ROWS)
@settings(max_examples=150, deadline=None)
def test_a_frame_survives_the_file_cell_by_cell(rows: list[tuple[object, ...]]) -> None:
    frame = frame_of(rows)

    texts = read_rows(write_csv(frame, COLUMNS), COLUMNS, "lines.csv")
    read, faults = typed(texts, COLUMNS)

    assert faults.empty
    pd.testing.assert_frame_equal(read, frame, check_index_type=False)


@given(st.lists(TEXTS, max_size=4))
@settings(max_examples=50, deadline=None)
def test_a_single_column_survives_too_although_an_empty_line_is_no_row(texts: list[str]) -> None:
    columns: dict[str, Kind] = {"sku": "text"}
    frame = pd.DataFrame({"sku": pd.Series(texts, dtype="str")})

    assert read_rows(write_csv(frame, columns), columns, "x")["sku"].tolist() == texts


@given(ROWS.filter(bool), st.data())
@settings(max_examples=100, deadline=None)
def test_a_file_cut_anywhere_is_refused_or_lacks_whole_rows(
    rows: list[tuple[object, ...]], data: st.DataObject
) -> None:
    """Never a row with a shortened last cell: that would be another amount."""
    frame = frame_of(rows)
    file = write_csv(frame, COLUMNS)
    texts = read_rows(file, COLUMNS, "whole")

    try:
        read = read_rows(file[: data.draw(st.integers(0, len(file) - 1))], COLUMNS, "cut")
    except ContractBroken:
        return

    pd.testing.assert_frame_equal(read, texts.iloc[: len(read)])


def test_the_file_is_what_the_contract_describes() -> None:
    frame = frame_of(
        [
            ('é "x"', -7, -123_400, True, "2026-11-23", "2026-11-23T08:15:30.123Z"),
            ("=1+1\n", 0, 1, False, "", ""),
        ]
    )

    assert write_csv(frame, COLUMNS).decode() == (
        "sku,line,quantity,taxed,on,at\n"
        '"é ""x""",-7,-12.3400,true,2026-11-23,2026-11-23T08:15:30.123Z\n'
        '"=1+1\n",0,0.0001,false,,\n'
    )


def test_formulas_stand_in_the_file_as_they_are() -> None:
    frame = make_batch([make_ticket(1, [("=1+1", 1, "1.00"), ("@x", 1, "1.00")])])["ticket_lines"]

    assert read_rows(write_csv(frame, TICKET_LINES), TICKET_LINES, "x")["sku"].tolist() == ["=1+1", "@x"]


@pytest.mark.parametrize(
    ("file", "what"),
    [
        (b"", "no header"),
        (b"sku,line\n", "lacks `quantity`, `taxed`, `on`, `at`"),
        (b"sku,line,quantity,taxed,on,at,more\n", "has the unknown `more`"),
        (b"sku,sku,line,quantity,taxed,on,at\n", "repeats `sku`"),
        (b"line,sku,quantity,taxed,on,at\n", "another order"),
        (b"\xef\xbb\xbf" + whole(), "byte order mark"),
        (whole("\x00,1,1.0000,true,,"), "NUL at character 31"),
        (whole().replace(b"sku", b"sk\xfc"), "not UTF-8 at byte 3"),
        (whole(GOOD, "A,1,1.0000,true,2026-11-23"), "row 2 has 5 cells instead of 6"),
        (whole(GOOD, GOOD + ",x"), "row 2 has 7 cells instead of 6"),
        (whole(GOOD, ""), "row 2 has 0 cells instead of 6"),
        (whole(GOOD)[:-1], "the file is cut"),
        (whole(GOOD, '"A,1,1.0000'), "may be cut"),
        (whole('"A"x,1,1.0000,true,,'), "line 2 cannot be read"),
    ],
)
def test_a_file_without_its_form_is_refused_with_file_and_reason(file: bytes, what: str) -> None:
    with pytest.raises(ContractBroken) as caught:
        read_rows(file, COLUMNS, "000001-abc.lines.csv")

    assert "000001-abc.lines.csv" in caught.value.message
    assert what in caught.value.message
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("line", ""),
        ("line", " 1"),
        ("line", "1.0"),
        ("line", "+1"),
        ("line", "007"),
        ("line", "-0"),
        ("line", "1_000"),
        ("line", "１"),
        ("line", "9223372036854775808"),
        ("line", "abc"),
        ("quantity", "1"),
        ("quantity", "1.00"),
        ("quantity", "1.00000"),
        ("quantity", "1,0000"),
        ("quantity", "1e0"),
        ("quantity", ""),
        ("quantity", "NaN"),
        ("quantity", "1.0000\n"),
        ("quantity", "100000000000000.0000"),
        ("taxed", "True"),
        ("taxed", "1"),
        ("taxed", ""),
        ("on", "2026-02-29"),
        ("on", "0000-01-01"),
        ("on", "23.11.2026"),
        ("on", "20261123"),
        ("at", "2026-11-23"),
        ("at", "2026-11-23 08:15:30.123"),
        ("at", "2026-11-23T08:15:30Z"),
        ("at", "2026-11-23T24:00:00.000Z"),
        ("at", "2026-13-01T00:00:00.000Z"),
        ("at", "2026-11-23T08:15:30.123+00:00"),
    ],
)
def test_a_cell_of_another_form_is_a_fault_and_its_neighbours_are_read(column: str, text: str) -> None:
    rows = read_rows(whole(GOOD, GOOD, GOOD), COLUMNS, "x")
    rows.loc[1, column] = text

    read, faults = typed(rows, COLUMNS)

    assert read.index.tolist() == [0, 2]
    assert faults.to_dict("records") == [{"row": 1, "column": column, "rule": "type"}]


def test_typed_frames_have_exact_dtypes_even_when_empty() -> None:
    for rows in (whole(), whole(GOOD)):
        read, _ = typed(read_rows(rows, COLUMNS, "x"), COLUMNS)
        assert {name: str(dtype) for name, dtype in read.dtypes.items()} == DTYPES


@pytest.mark.parametrize(
    ("value", "what"), [(1.5, "float"), (None, "NoneType"), ("1", "str"), (True, "bool")]
)
def test_an_amount_that_is_no_whole_number_is_never_written(value: object, what: str) -> None:
    frame = make_batch([make_ticket(1)])["ticket_lines"]
    frame["unit_price"] = pd.Series([value], dtype="object")

    with pytest.raises(ContractBroken, match=f"`unit_price` holds {what} in row 1"):
        write_csv(frame, TICKET_LINES)


def test_texts_that_no_file_can_carry_are_refused_on_the_way_out() -> None:
    for text, what in (("a\0b", "NUL"), ("\ud800", "surrogate")):
        frame = make_batch([make_ticket(1, [("A", 1, 1, {"sku": text})])])
        with pytest.raises(ContractBroken, match=what):
            write_csv(frame["ticket_lines"], TICKET_LINES)
    with pytest.raises(ContractBroken, match="`flags` is missing"):
        write_csv(make_batch([make_ticket(1)])["tickets"].drop(columns="flags"), TICKETS)


def test_money_is_exact_to_four_decimals_over_a_million_lines() -> None:
    numbers = random.Random(20261123)
    amounts = [numbers.randrange(-(10**18) + 1, 10**18) for _ in range(1_000_000)]
    columns: dict[str, Kind] = {"amount": "amount"}
    frame = pd.DataFrame({"amount": pd.Series(amounts, dtype="int64")})

    read, faults = typed(read_rows(write_csv(frame, columns), columns, "amounts.csv"), columns)

    assert faults.empty
    assert sum(read["amount"].tolist()) == sum(amounts)
    assert read["amount"].tolist() == amounts
