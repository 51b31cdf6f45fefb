"""Numbers of single hidden cases: when organisers publish them, and under which numbers cases stand there.

That is decided once for all, when nothing more can be handed in on these cases: every phase that has them is revealed,
and none takes post-challenge runs, now or later. From then on none of them does any more. In two steps, the second of
which may stay out:

* **cases**: of each case the Dice, and how many findings, hits, entities and instances it has;
* **findings**: the same of each finding, with its category and its size.

A case stands there under a number, which tells nothing: cases are numbered in the order of the HMAC-SHA256 of their
names by a secret of the phase, and so are the findings of a case. A re-scoring, which may bring another case set with
the same names, changes no number.
Sentences, names, masks, volumes, and why a case was lost are never published.
"""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from leaderboard.challenge.halves.commitment import SECRET_BYTES, tag
from leaderboard.core import audit, clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import instant
from leaderboard.models import Case, CaseNumberSecret, CaseSet, Phase

_FIELDS = ("cases_published_at", "findings_published_at")


@transaction.atomic
def publish(phase: Phase, *, findings: bool = False, by: Actor, why: str) -> None:
    """Publish numbers of the single cases of a phase; with `findings`, of their findings as well. Raises Refused."""
    locked = list(on_the_same_volumes(phase.case_set).select_for_update(no_key=True).order_by("pk"))
    row = next((one for one in locked if one.pk == phase.pk), phase)  # public cases are refused below
    now = clock.now()
    check(row, now, findings=findings)
    if not why.strip():
        raise Refused("Say why: the reason is kept in the record.")
    before = audit.state_of(row, _FIELDS)
    row.cases_published_at = row.cases_published_at or now
    row.findings_published_at = now if findings else row.findings_published_at
    row.save(update_fields=_FIELDS)
    CaseNumberSecret.objects.get_or_create(phase=row, defaults={"secret": secrets.token_hex(SECRET_BYTES)})
    audit.record(by, "publish cases", row, before=before, after=audit.state_of(row, _FIELDS), why=why)
    phase.refresh_from_db(fields=_FIELDS)


def check(phase: Phase, at: datetime, *, findings: bool = False) -> None:
    """Refuse to publish before the reveal, while anybody may still ask about these cases, and a second time."""
    if phase.cases_are_public:
        raise Refused(f"The cases of the {phase.name} are public: the numbers of each are shown already.")
    since = phase.findings_published_at if findings else phase.cases_published_at
    if since:
        raise Refused(f"They are published since {instant(since)}.")
    for one in on_the_same_volumes(phase.case_set).order_by("pk"):
        if why := what_may_still_ask(one, at):
            raise Refused(
                "Numbers of single cases are published once nothing more can be handed in on these cases. The "
                f"{one.name} stands in the way: {why}."
            )


def check_stays_over(_old: Phase | None, new: Phase, at: datetime) -> None:
    """Refuse whatever lets somebody hand in on hidden cases of which numbers were published, as a phase is saved."""
    if new.cases_are_public:
        return
    published = on_the_same_volumes(new.case_set).filter(cases_published_at__lte=at).order_by("cases_published_at")
    since = published.values_list("cases_published_at", flat=True).first()
    if since and (why := what_may_still_ask(new, since)):
        raise Refused(
            f"Numbers of single cases are published since {instant(since)}, so nothing more can be handed in on these "
            f"cases, and their reveal stays. This stands against it: {why}."
        )


def what_may_still_ask(phase: Phase, at: datetime) -> str:
    """Why something may still be handed in on the cases of a phase, or be withheld; empty if nothing is."""
    opens, closes = phase.post_challenge_opens_at, phase.post_challenge_closes_at
    if phase.closes_at > at:
        return "its deadline is not over"
    if phase.revealed_at is None or phase.revealed_at > at:
        return "its full result is not revealed"
    if opens and (closes is None or closes > at):
        return "its post-challenge runs have not ended (“post-challenge runs until” must have passed)"
    return ""


def on_the_same_volumes(case_set: CaseSet) -> QuerySet[Phase]:
    """The phases on hidden cases of which any is among these: in the very set, a copy, or a mended one."""
    volumes = Case.objects.filter(case_set=case_set).values("volume")
    sets = Case.objects.filter(volume__in=volumes).values("case_set")
    return Phase.objects.filter(case_set__in=sets, cases_are_public=False)


# --- numbers ----------------------------------------------------------------------------------------------------------


def secret_of(phase: Phase) -> bytes:
    """By what the cases of a phase are numbered. Raises DoesNotExist before anything of them was published."""
    return bytes.fromhex(CaseNumberSecret.objects.get(phase=phase).secret)


def order_of_cases(secret: bytes, names: Sequence[str]) -> list[int]:
    """The places of cases among `names` in the order in which they are numbered, from 1."""
    return sorted(range(len(names)), key=lambda place: tag(secret, names[place], "number of case"))


def order_of_findings(secret: bytes, name: str, channels: Iterable[int]) -> list[int]:
    """The channels of a case in the order in which its findings are numbered, from 1."""
    return sorted(channels, key=lambda channel: tag(secret, f"{channel} {name}", "number of finding"))
