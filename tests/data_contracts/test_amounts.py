"""Money and quantities are whole ten-thousandths; text and Decimal come and go without a trace of float."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.amounts import (
    format_amount,
    format_amounts,
    from_decimal,
    parse_amount,
    show_money,
    show_units,
    to_decimal,
)

AMOUNTS = st.integers(-(10**18) + 1, 10**18 - 1)


@given(AMOUNTS)
def test_an_amount_survives_its_text_and_its_decimal(amount: int) -> None:
    assert parse_amount(format_amount(amount)) == amount
    assert from_decimal(to_decimal(amount)) == amount
    assert to_decimal(amount) == Decimal(format_amount(amount))


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.0000"),
        (1, "0.0001"),
        (-1, "-0.0001"),
        (123_400, "12.3400"),
        (-123_400, "-12.3400"),
        (-9_999, "-0.9999"),
        (10**18 - 1, "99999999999999.9999"),
    ],
)
def test_the_text_of_an_amount_has_four_decimals(amount: int, text: str) -> None:
    assert format_amount(amount) == text
    assert format_amounts([amount]) == [text]
    assert str(to_decimal(amount)) == text


@pytest.mark.parametrize(
    "text", ["", "1", "1.0", "1.00000", ".5000", "+1.0000", "1,0000", "1e2", "1.0000\n", " 1.0000", "１.0000"]
)
def test_any_other_text_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount with four decimals"):
        parse_amount(text)


def test_more_than_four_decimals_are_refused_and_not_rounded() -> None:
    assert from_decimal("1.23450") == 12_345
    assert from_decimal(3) == 30_000
    with pytest.raises(ValueError, match=r"more than four decimals: 0\.00001"):
        from_decimal(Decimal("0.00001"))


@pytest.mark.parametrize(
    ("amount", "money", "units"),
    [
        (12_345_000, "1,234.50", "1,234.5000"),
        (30_000, "3.00", "3"),
        (-1, "-0.0001", "-0.0001"),
        (0, "0.00", "0"),
        (10**18 - 1, "99,999,999,999,999.9999", "99,999,999,999,999.9999"),
    ],
)
def test_people_see_as_many_decimals_as_count(amount: int, money: str, units: str) -> None:
    assert show_money(amount) == money
    assert show_units(amount) == units
