"""Local till times to UTC and to the business day they count for.

RMS keeps the till's wall clock and no zone. Both are settled here, once, at export: an hour that
daylight saving repeats is its first pass, one that it skips is moved forward by the gap, and either is
flagged.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

Rule = Literal["calendar", "day_start", "z_batch"]

AMBIGUOUS_HOUR = "ambiguous_hour"
NO_SUCH_HOUR = "no_such_hour"
NO_Z_BATCH = "no_z_batch"

_HALF_MILLISECOND = timedelta(microseconds=500)


class Dated(NamedTuple):
    """When something happened: `2026-11-23T08:15:30.123Z`, `2026-11-23`, and flags, `;`-separated."""

    occurred_at: str
    business_date: str
    flags: str


def date_times(
    times: Iterable[datetime],
    openings: Iterable[datetime | None],
    *,
    zone: str,
    rule: Rule = "calendar",
    day_start: str = "00:00",
) -> list[Dated]:
    """Date naive local times; `openings` are the local openings of the Z batch of each.

    Rules: `calendar` takes the local date; `day_start` the local date where a day begins at that time
    (`04:00`: a sale at 03:59 counts for the day before); `z_batch` the local date on which the Z batch was
    opened, the calendar's, and flagged, where RMS does not know it. Ticks of 3.33 ms are rounded to
    milliseconds.
    """
    place = ZoneInfo(zone)
    begins = time.fromisoformat(day_start)
    shift = timedelta(hours=begins.hour, minutes=begins.minute) if rule == "day_start" else timedelta()
    dated: list[Dated] = []
    for local, opening in zip(times, openings, strict=True):
        first, second = _offsets(local, place)
        moment = local - first + _HALF_MILLISECOND
        flag = "" if first == second else AMBIGUOUS_HOUR if first > second else NO_SUCH_HOUR
        wall = local + (second - first) if flag == NO_SUCH_HOUR else local
        counted = opening if rule == "z_batch" and opening is not None else wall - shift
        if rule == "z_batch" and opening is None:
            flag = f"{flag};{NO_Z_BATCH}".lstrip(";")
        dated.append(Dated(moment.isoformat(timespec="milliseconds") + "Z", counted.date().isoformat(), flag))
    return dated


def _offsets(local: datetime, place: ZoneInfo) -> tuple[timedelta, timedelta]:
    """Offsets to UTC at the first and the second pass of a wall-clock time; a change of clocks parts them."""
    first = local.replace(tzinfo=place).utcoffset()
    second = local.replace(tzinfo=place, fold=1).utcoffset()
    return first or timedelta(), second or timedelta()
