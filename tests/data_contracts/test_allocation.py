"""Free stock goes to the oldest backorders first, never more than is free and never more than waits."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from data_contracts.allocation import WaitingLine, give_out

PLACES = [("MAIN", "A"), ("MAIN", "B"), ("W1", "A")]


def line_of(number: int, units: int, *, at: str = "09:00", store: str = "S1", line: int = 1) -> WaitingLine:
    return WaitingLine(f"{store}/1/order/{number}", line, "MAIN", "A", at, store, number, units)


@st.composite
def waiting_lines(draw: st.DrawFn) -> list[WaitingLine]:
    lines: dict[tuple[str, int], WaitingLine] = {}
    for _ in range(draw(st.integers(0, 12))):
        store, number, line = (
            draw(st.sampled_from(["S1", "S2"])),
            draw(st.integers(1, 4)),
            draw(st.integers(1, 3)),
        )
        warehouse, sku = draw(st.sampled_from(PLACES))
        order, at = f"{store}/1/order/{number}", f"{9 + number % 3:02d}:00"
        units = draw(st.integers(-1, 50_000))
        lines[order, line] = WaitingLine(order, line, warehouse, sku, at, store, number, units)
    return list(lines.values())


free_units = st.dictionaries(st.sampled_from(PLACES), st.integers(-20_000, 100_000))


@given(waiting_lines(), free_units)
def test_never_more_is_given_than_is_free_or_waits(
    waiting: list[WaitingLine], free: dict[tuple[str, str], int]
) -> None:
    found = give_out(waiting, free)

    assert all(0 < units <= line.units for line, units in found)
    assert len({line[:2] for line, _ in found}) == len(found)
    for place in PLACES:
        taken = sum(units for line, units in found if (line.warehouse, line.sku) == place)
        wanted = sum(max(0, line.units) for line in waiting if (line.warehouse, line.sku) == place)
        assert taken == min(wanted, max(0, free.get(place, 0)))


@given(waiting_lines(), free_units)
def test_younger_line_is_given_nothing_while_an_older_one_still_waits(
    waiting: list[WaitingLine], free: dict[tuple[str, str], int]
) -> None:
    units = dict(give_out(waiting, free))

    for older in waiting:
        for younger in waiting:
            same = (older.warehouse, older.sku) == (younger.warehouse, younger.sku)
            if same and older.age < younger.age and units.get(older, 0) < older.units:
                assert younger not in units


@given(waiting_lines(), free_units, st.randoms(use_true_random=False))
def test_what_is_given_does_not_depend_on_the_order_in_which_lines_are_named(
    waiting: list[WaitingLine], free: dict[tuple[str, str], int], random: Random
) -> None:
    shuffled = list(waiting)
    random.shuffle(shuffled)

    assert give_out(shuffled, free) == give_out(waiting, free)


@given(waiting_lines(), st.lists(st.integers(0, 30_000), min_size=2, max_size=4))
def test_stock_that_comes_bit_by_bit_ends_as_if_it_had_come_at_once(
    waiting: list[WaitingLine], parts: list[int]
) -> None:
    at_once = {line[:2]: units for line, units in give_out(waiting, {PLACES[0]: sum(parts)})}

    left = {line[:2]: line for line in waiting}
    bit_by_bit: dict[tuple[str, int], int] = {}
    spare = 0
    for part in parts:
        spare += part
        for line, units in give_out(left.values(), {PLACES[0]: spare}):
            left[line[:2]] = line._replace(units=line.units - units)
            bit_by_bit[line[:2]] = bit_by_bit.get(line[:2], 0) + units
            spare -= units

    assert bit_by_bit == at_once


def test_oldest_is_told_by_time_then_store_then_number_then_line() -> None:
    wanted = [
        line_of(9, 1, at="08:00", store="S2"),
        line_of(10, 1, line=1),
        line_of(10, 1, line=2),
        line_of(11, 1),
        line_of(2, 1, store="S2"),
    ]

    assert [line for line, _ in give_out(reversed(wanted), {("MAIN", "A"): 5})] == wanted


def test_the_last_line_to_get_any_may_get_a_part() -> None:
    found = give_out([line_of(1, 20_000), line_of(2, 20_000), line_of(3, 20_000)], {("MAIN", "A"): 25_000})

    assert [(line.number, units) for line, units in found] == [(1, 20_000), (2, 5_000)]
