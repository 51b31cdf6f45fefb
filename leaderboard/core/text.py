"""Text that somebody else wrote, without what is not text in it. Whoever shows it still escapes it for its medium.

What comes in goes through `storable`, each way in at one place: requests in `leaderboard.web.door`, what GPU hosts say
in `leaderboard.processes.host_api`, what an operator types in `manage.py`.
"""

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError

from leaderboard.core.refusal import Refused

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
# Control characters but for tab and line feed, the marks that turn the direction of everything that follows, and halves
# of surrogate pairs, which no database and no terminal takes.
_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

# What mail programs make a link of: a scheme, or a host's name (or an email address, which ends with one). Two letters
# after a dot may begin a top-level domain; which ones there are changes, and differs by program.
_LINK = re.compile(
    r"://|\b(?:https?|ftps?|mailto|tel|sms|data|file|javascript):\S|\bwww\.|[^\W_](?:[\w-]*[^\W_])?\.[^\W\d_]{2}"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b",
    re.IGNORECASE,
)
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")  # which IDNA takes for one
LINK_IN_NAME = (
    "Leave addresses of pages out of it: this looks like one. After a dot inside a name put a space, as in “Dr. Who”."
)
_LONGEST_MAILBOX = 64  # RFC 5321
NO_ADDRESS = "Enter a valid email address."
_FORMULA_STARTS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
_NOT_STORABLE = re.compile(r"[\x00\ud800-\udfff]")


def sanitised(value: object) -> str:
    """Text without terminal colours, control characters and direction overrides."""
    text = str(value).replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii() and text.isprintable():  # nothing of that is in it
        return text
    return _INVISIBLE.sub("", _ESCAPE_SEQUENCE.sub("", text))


def one_line(text: str) -> str:
    """A name as it is kept: sanitised, in one line."""
    return " ".join(sanitised(text).split())


def xml_text(text: str) -> str:
    """Text without the two characters that a page may hold, and XML may not."""
    return text.replace("\ufffe", "").replace("\uffff", "")


def instant(at: datetime) -> str:
    """An instant in a sentence, in UTC."""
    return f"{at.astimezone(UTC):%b %-d, %Y %H:%M} UTC"


def read_instant(text: str) -> datetime:
    """An instant as people write it: in UTC, unless it says which other clock. Raises Refused."""
    try:
        found = datetime.fromisoformat(text.strip().removesuffix("UTC").removesuffix("Z").strip())
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Refused(f"“{text[:40]}” is no date and time: write it like 2026-09-14 20:00, in UTC.") from None


def printable(text: str) -> str:
    """Text from a team as a terminal may get it: no colours, control characters or changes of direction."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def pattern_of(names: Iterable[str]) -> re.Pattern[str]:
    """Finds these names (not none) where they stand as words; of two that begin alike, the longer one."""
    named = [re.escape(name) for name in sorted(set(names) - {""}, key=len, reverse=True)]
    return re.compile(rf"(?<!\w)(?:{'|'.join(named)})(?!\w)")


def csv_cell(text: str) -> str:
    """Somebody's text as a cell of a table for spreadsheets: one line, and never taken for a formula.

    What a spreadsheet would take for one, in whatever width its sign is written, gets an apostrophe in front.
    """
    shown = sanitised(text)
    line = one_line(shown if shown.isprintable() else "".join(one if one.isprintable() else " " for one in shown))
    return f"'{line}" if line.startswith(_FORMULA_STARTS) else line


def check_no_link(name: str) -> None:
    """Refuse a name that mail programs would make a link of: messages to strangers hold it. Raises ValidationError."""
    seen = "".join(letter for letter in sanitised(name).translate(_DOTS) if unicodedata.category(letter) != "Cf")
    if _LINK.search(unicodedata.normalize("NFKC", seen)):
        raise ValidationError(LINK_IN_NAME)


def check_address(address: str) -> None:
    """Refuse an email address to which nothing can be sent: by its domain, or what it hides. Raises ValidationError."""
    mailbox, _, domain = address.rpartition("@")
    if sanitised(address) != address:  # between quotes, Django takes control characters
        raise ValidationError(NO_ADDRESS)
    if len(mailbox) > _LONGEST_MAILBOX or domain.startswith("["):  # a machine by its number: nobody's, or our network's
        raise ValidationError(NO_ADDRESS)
    try:
        domain.encode("idna")
    except UnicodeError:
        raise ValidationError(NO_ADDRESS) from None


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can hold this text as it is."""
    return _NOT_STORABLE.search(text) is None


def storable(value: Any) -> Any:
    """The value with texts that PostgreSQL can hold, also in JSON: it knows neither NUL nor half a surrogate pair."""
    if isinstance(value, str):
        return value if is_storable(value) else _NOT_STORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {storable(key): storable(one) for key, one in value.items()}
    return [storable(one) for one in value] if isinstance(value, list | tuple) else value
