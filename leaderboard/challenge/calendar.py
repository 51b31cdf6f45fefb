"""The dates as a calendar to subscribe to: iCalendar (RFC 5545). What is only known about is not in it."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta

from django.conf import settings

from leaderboard.challenge.dates import Line
from leaderboard.core.text import one_line

MOST_OCTETS = 75
NAME = "ReXGrounding Challenge"


def as_calendar(lines: Iterable[Line], now: datetime, url: str) -> bytes:
    """The lines as a calendar, made `now`; `url` is the page that has them, too."""
    # Made anew each day: a program that asks again on the same day is told that nothing changed.
    made = datetime.combine(now.astimezone(UTC), time(), UTC)
    content = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:-//{NAME}//dates//EN",
        f"NAME:{_text(NAME)}",
        f"X-WR-CALNAME:{_text(NAME)}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT12H",
        "X-PUBLISHED-TTL:PT12H",
        *(part for line in lines if line.is_fixed for part in _event(line, made, url)),
        "END:VCALENDAR",
    ]
    return b"".join(_folded(line) for line in content)


def _event(line: Line, made: datetime, url: str) -> Iterator[str]:
    host = settings.SITE_URL.partition("://")[2]
    yield from ("BEGIN:VEVENT", f"UID:{line.key}@{host}", f"DTSTAMP:{_instant(made)}")
    if line.day:
        yield from (f"DTSTART;VALUE=DATE:{line.day:%Y%m%d}", f"DTEND;VALUE=DATE:{line.day + timedelta(days=1):%Y%m%d}")
    else:
        yield f"DTSTART:{_instant(line.instant)}"
    yield from (f"SUMMARY:{_text(f'{NAME}: {line.what}')}", f"URL:{url}", "TRANSP:TRANSPARENT", "END:VEVENT")


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(words: str) -> str:
    return re.sub(r"([\\;,])", r"\\\1", one_line(words))


def _folded(line: str) -> bytes:
    """A line with its end, in pieces of as many octets as one may have; no letter is cut in two."""
    pieces, size = [b""], 0
    for letter in line:
        encoded = letter.encode()
        if size + len(encoded) > MOST_OCTETS:
            pieces.append(b" ")
            size = 1
        pieces[-1] += encoded
        size += len(encoded)
    return b"\r\n".join(pieces) + b"\r\n"
