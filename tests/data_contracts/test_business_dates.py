"""Local till times become UTC and business days, over changes of clocks too."""

from __future__ import annotations

from datetime import datetime

import pytest

from data_contracts.business_dates import Dated, Rule, date_times


def one(
    local: str,
    zone: str = "Europe/London",
    rule: Rule = "calendar",
    start: str = "00:00",
    z: str | None = None,
) -> Dated:
    opening = datetime.fromisoformat(z) if z else None
    return date_times([datetime.fromisoformat(local)], [opening], zone=zone, rule=rule, day_start=start)[0]


def test_a_winter_and_a_summer_time_become_utc() -> None:
    assert one("2026-11-23T08:15:30.123") == ("2026-11-23T08:15:30.123Z", "2026-11-23", "")
    assert one("2026-07-01T08:15:30") == ("2026-07-01T07:15:30.000Z", "2026-07-01", "")
    assert one("2026-11-23T23:30:00", zone="America/New_York") == (
        "2026-11-24T04:30:00.000Z",
        "2026-11-23",
        "",
    )


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2026-11-23T08:15:30.003333", "2026-11-23T08:15:30.003Z"),
        ("2026-11-23T08:15:30.006667", "2026-11-23T08:15:30.007Z"),
        ("2026-11-23T08:15:30.997", "2026-11-23T08:15:30.997Z"),
        ("2026-12-31T23:59:59.999600", "2027-01-01T00:00:00.000Z"),
    ],
)
def test_ticks_are_rounded_to_milliseconds(local: str, utc: str) -> None:
    assert one(local).occurred_at == utc


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-10-25T00:59:59.997", ("2026-10-24T23:59:59.997Z", "2026-10-25", "")),
        ("2026-10-25T01:30:00", ("2026-10-25T00:30:00.000Z", "2026-10-25", "ambiguous_hour")),
        ("2026-10-25T02:00:00", ("2026-10-25T02:00:00.000Z", "2026-10-25", "")),
        ("2026-03-29T00:59:00", ("2026-03-29T00:59:00.000Z", "2026-03-29", "")),
        ("2026-03-29T01:30:00", ("2026-03-29T01:30:00.000Z", "2026-03-29", "no_such_hour")),
        ("2026-03-29T02:30:00", ("2026-03-29T01:30:00.000Z", "2026-03-29", "")),
    ],
)
def test_a_repeated_hour_is_its_first_pass_and_a_skipped_one_moves_forward(
    local: str, expected: tuple[str, str, str]
) -> None:
    assert one(local) == expected


def test_a_half_hour_change_and_one_at_midnight_are_told_as_well() -> None:
    assert one("2026-04-05T01:45:00", zone="Australia/Lord_Howe").flags == "ambiguous_hour"
    assert one("2026-04-05T01:15:00", zone="Australia/Lord_Howe").flags == ""
    assert one("2018-11-04T00:30:00", zone="America/Sao_Paulo") == (
        "2018-11-04T03:30:00.000Z",
        "2018-11-04",
        "no_such_hour",
    )


def test_a_day_start_counts_the_night_for_the_day_before() -> None:
    assert one("2026-11-23T03:59:59.997", rule="day_start", start="04:00").business_date == "2026-11-22"
    assert one("2026-11-23T04:00:00", rule="day_start", start="04:00").business_date == "2026-11-23"
    assert one("2026-11-23T03:59:00", rule="calendar", start="04:00").business_date == "2026-11-23"


def test_the_z_batch_s_opening_decides_and_an_unknown_one_falls_back_to_the_calendar() -> None:
    assert one("2026-11-24T01:10:00", rule="z_batch", z="2026-11-23T09:00:00").business_date == "2026-11-23"
    unknown = one("2026-11-24T01:10:00", rule="z_batch")
    assert (unknown.business_date, unknown.flags) == ("2026-11-24", "no_z_batch")
    assert one("2026-11-24T01:10:00").flags == ""
    assert one("2026-10-25T01:30:00", rule="z_batch").flags == "ambiguous_hour;no_z_batch"
