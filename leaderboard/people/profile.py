"""What a person says of themselves: name, affiliation, country, ORCID iD."""

import re

from allauth.socialaccount.models import SocialAccount
from django.db import transaction
from django_countries import countries

from leaderboard.core import audit
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import one_line
from leaderboard.models import User
from leaderboard.people.names import skeleton

NAMELESS = "Say how you are called."  # in signs that one sees
ORCID = "orcid"  # the name of the provider
FIELDS = ("name", "affiliation", "country", "orcid")
_ORCID = re.compile(r"\d{15}[\dX]", re.ASCII)


def country_choices() -> list[tuple[str, str]]:
    """Codes of ISO 3166-1 and the names of countries, by name."""
    return [(code, str(name)) for code, name in countries]


def country_name(code: str) -> str:
    """A country's name; empty for none."""
    return str(countries.name(code)) if code else ""


def orcid_of(typed: str) -> str:
    """An ORCID iD in its usual form, of that form, of digits alone or of its address; empty for nothing.

    Refused if its last character is not the check of the others (ISO 7064 11,2).
    """
    text = typed.strip().upper().rstrip("/")
    text = re.sub(r"^(HTTPS?://)?(WWW\.)?ORCID\.ORG/", "", text)
    digits = re.sub(r"[\s\u2010-\u2015-]", "", text)
    if not digits:
        return ""
    if not _ORCID.fullmatch(digits):
        raise Refused("An ORCID iD has 16 digits, the last one may be an X: 0000-0002-1825-0097.")
    if orcid_check(digits[:15]) != digits[15]:
        raise Refused("This ORCID iD is mistyped: its last character does not fit the others.")
    return "-".join(digits[start : start + 4] for start in range(0, 16, 4))


def orcid_check(digits: str) -> str:
    """The check character of 15 digits by ISO 7064 MOD 11-2."""
    total = 0
    for digit in digits:
        total = (total + int(digit)) * 2
    rest = (12 - total % 11) % 11
    return "X" if rest == 10 else str(rest)


def connected_orcid(user: User) -> str:
    """The ORCID iD by which the person signs in; empty if there is none."""
    account = SocialAccount.objects.filter(user=user, provider=ORCID).first()
    return account.uid if account else ""


@transaction.atomic
def change(user: User, *, name: str, affiliation: str, country: str, orcid: str) -> None:
    """Say something else of oneself. The record holds which of it changed, never what it says."""
    name = one_line(name)
    if not skeleton(name):
        raise Refused(NAMELESS)
    said = {"name": name, "affiliation": one_line(affiliation), "country": country, "orcid": orcid_of(orcid)}
    if (connected := connected_orcid(user)) and said["orcid"] != connected:
        raise Refused(f"You sign in with the ORCID iD {connected}. Disconnect it before you name another one.")
    changed = [field for field in FIELDS if getattr(user, field) != said[field]]
    if changed:
        for field in changed:
            setattr(user, field, said[field])
        user.save(update_fields=changed)
        audit.record(Actor.person(user), "change profile", user, after={"changed": changed})
