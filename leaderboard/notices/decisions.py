"""What organisers decided about a team's runs, and answered to its objections: told to all its members by mail.

Nobody switches these off, as nobody switches off what is decided about them. A decision leaves a row in its own
transaction; the sweeper writes the message. Decisions that were made at once for one reason are one message. It says
what was decided and why, in the organisers' words, and nothing of what a run scored or how far it came.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse

from leaderboard.core import clock
from leaderboard.core.text import one_line, sanitised
from leaderboard.models import Objection, RunDecision, Submission, Team, TeamDisqualification
from leaderboard.people import team_mails

logger = logging.getLogger(__name__)
AT_ONCE = 500  # decisions in a round
_NAMED = 20  # runs in one message
_DECIDED: dict[str, str] = {
    RunDecision.Kind.DISQUALIFIED: "disqualified",
    RunDecision.Kind.REINSTATED: "reinstated",
    RunDecision.Kind.GIVEN_BACK: "gave back",
    RunDecision.Kind.CANCELLED: "cancelled",
    RunDecision.Kind.RUN_AGAIN: "started again",
}
_MEANS: dict[str, str] = {
    RunDecision.Kind.DISQUALIFIED: "It is on no board; another run of your team may count.",
    RunDecision.Kind.REINSTATED: "It may count again.",
    RunDecision.Kind.GIVEN_BACK: "It is not charged: your team may hand in another one in its place.",
    RunDecision.Kind.CANCELLED: "It has ended, and does not go on.",
    RunDecision.Kind.RUN_AGAIN: "What was handed in runs once more. That is not charged.",
}
OBJECT = "If this is wrong, your team can object on the run’s page."


def write_due() -> None:
    """Write what is to be told. What fails is logged, and does not keep others waiting."""
    _each(_told_of_runs(), _tell_of_runs)
    _each(_pks(TeamDisqualification.objects.filter(told_at=None)), _tell_of_team)
    _each(_pks(TeamDisqualification.objects.filter(ended_at__isnull=False, end_told_at=None)), _tell_of_team_again)
    _each(_pks(Objection.objects.filter(answered_at__isnull=False, told_at=None)), _tell_answer)


def _each(found: Iterable[Any], tell: Callable[[Any], None]) -> None:
    for one in found:
        try:
            with transaction.atomic():
                tell(one)
        except DatabaseError:
            raise
        except Exception:
            logger.exception("a notice of a decision could not be written: %s", one)


def _pks(rows: QuerySet[Any]) -> list[int]:
    return list(rows.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])


def _told_of_runs() -> list[list[int]]:
    """The decisions that are to be told, those of a team of one kind for one reason together."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    rows = RunDecision.objects.filter(told_at=None).order_by("pk")
    for pk, *like in rows.values_list("pk", "submission__team", "submission__phase", "kind", "reason")[:AT_ONCE]:
        groups.setdefault(tuple(like), []).append(pk)
    return list(groups.values())


def _tell_of_runs(pks: Sequence[int]) -> None:
    mine = RunDecision.objects.select_for_update(skip_locked=True, of=("self",)).filter(pk__in=pks, told_at=None)
    rows = list(mine.select_related("submission__team", "submission__phase").order_by("pk"))
    if not rows:
        return
    first, runs = rows[0], [one.submission for one in rows]
    what = f"submission {runs[0].pk}" if len(runs) == 1 else f"{len(runs)} of your submissions"
    said = f"The organisers {_DECIDED[first.kind]} {what}"
    names = [_named(one) for one in runs[:_NAMED]]
    if len(runs) > _NAMED:
        names.append(f"and {len(runs) - _NAMED} more")
    means = _MEANS[first.kind]
    if len(runs) > 1:
        means = f"Of each of them: {means[0].lower()}{means[1:]}"
    _send(
        runs[0].team,
        said,
        f"{said} in the {one_line(runs[0].phase.name)}:",
        "\n".join(names),
        means,
        _why(first.reason),
        OBJECT if first.can_be_objected_to else "",
        _see(runs[0]),
    )
    RunDecision.objects.filter(pk__in=[one.pk for one in rows]).update(told_at=clock.now())


def _tell_of_team(pk: int) -> None:
    row = _locked(TeamDisqualification.objects.filter(pk=pk, told_at=None).select_related("team", "phase"))
    if row is None:
        return
    name = one_line(row.phase.name)
    _send(
        row.team,
        f"Your team is disqualified in the {name}",
        f"The organisers disqualified your team “{one_line(row.team.name)}” in the {name}. Its runs there are on no "
        "board, and it can hand in nothing more.",
        _why(row.reason),
        "If this is wrong, your team can object on the page of any of these runs.",
        f"Its runs: {settings.SITE_URL}{reverse('runs')}",
    )
    row.told_at = clock.now()
    row.save(update_fields=["told_at"])


def _tell_of_team_again(pk: int) -> None:
    row = _locked(TeamDisqualification.objects.filter(pk=pk, end_told_at=None).select_related("team", "phase"))
    if row is None:
        return
    name = one_line(row.phase.name)
    _send(
        row.team,
        f"Your team is reinstated in the {name}",
        f"The organisers reinstated your team “{one_line(row.team.name)}” in the {name}, with the runs that were "
        "disqualified with it.",
        _why(row.end_reason),
        f"Its runs: {settings.SITE_URL}{reverse('runs')}",
    )
    row.end_told_at = clock.now()
    row.save(update_fields=["end_told_at"])


def _tell_answer(pk: int) -> None:
    rows = Objection.objects.filter(pk=pk, told_at=None, answered_at__isnull=False)
    row = _locked(rows.select_related("decision__submission__team", "decision__submission__phase"))
    if row is None:
        return
    submission = row.decision.submission
    _send(
        submission.team,
        f"The organisers answered your objection about submission {submission.pk}",
        f"Your team objected to a decision about {_named(submission)}, in the {one_line(submission.phase.name)}.",
        f"The organisers answer: {sanitised(row.answer).strip()}",
        _see(submission),
    )
    row.told_at = clock.now()
    row.save(update_fields=["told_at"])


def _locked(rows: QuerySet[Any]) -> Any:
    return rows.select_for_update(skip_locked=True, of=("self",)).first()


def _named(submission: Submission) -> str:
    kind = "" if submission.is_scored else f", {submission.get_kind_display().lower()}"
    return f"submission {submission.pk}{kind} (“{one_line(submission.algorithm)}”)"


def _why(reason: str) -> str:
    return f"The organisers write: {sanitised(reason).strip()}" if reason.strip() else ""


def _see(submission: Submission) -> str:
    return f"See all of it: {settings.SITE_URL}{reverse('submission', args=[submission.pk])}"


def _send(team: Team, subject: str, *paragraphs: str) -> None:
    """To each member by themselves: whoever joined later is told, too, who has left is not."""
    body = "\n\n".join([*filter(None, paragraphs), team_mails.FOOTER])
    subject = one_line(f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}")
    if to := [one.email for one in team_mails.members_of(team)]:
        EmailMessage(subject, body, to=to).send()
