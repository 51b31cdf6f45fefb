"""Phases: which are open at an instant and for what, and what organisers decide about them.

A phase may ask for a passed try-out before a run. That is announced at least `NOTICE` ahead, and in the last hours
before the deadline nobody is asked for it: `check_try_out` holds organisers to it. `check_reveal` keeps what the full
result tells from whoever could still hand something in, and so does `check_publication`. What everybody may have seen
is not taken back: `check_draft`, `check_embargo` and `check_anonymity` refuse what would only look as if it were.
What else may change while a phase runs is in `mid_phase`; all of it is asked by `CHECKS`, whatever way a change comes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet

from leaderboard.challenge import mid_phase
from leaderboard.challenge.published_cases import check_stays_over, on_the_same_volumes
from leaderboard.core import audit, clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import instant
from leaderboard.models import Case, Phase, Standing, Submission
from leaderboard.models.challenge import WITHOUT_TRY_OUT

NOTICE = timedelta(days=14)
MOST_CHANGES = 6  # of what is open, that a page is told ahead
FREE_HOURS = WITHOUT_TRY_OUT // timedelta(hours=1)


def open_phases(at: datetime) -> QuerySet[Phase]:
    """The phases that take submissions at this instant; the one that closes first stands first."""
    return Phase.objects.published().filter(opens_at__lte=at, closes_at__gt=at)


def taking_phases(at: datetime) -> QuerySet[Phase]:
    """The phases that take runs of whichever kind at this instant: the open ones, and those for post-challenge runs."""
    return Phase.objects.published().filter(Q(opens_at__lte=at, closes_at__gt=at) | _takes_post_challenge(at))


def phases_to_come(at: datetime) -> QuerySet[Phase]:
    """The phases that take runs of whichever kind at this instant, or will open."""
    return Phase.objects.published().filter(Q(closes_at__gt=at) | _takes_post_challenge(at))


def _takes_post_challenge(at: datetime) -> Q:
    after = Q(closes_at__lte=at, post_challenge_opens_at__lte=at, archived_at=None)
    return after & (Q(post_challenge_closes_at=None) | Q(post_challenge_closes_at__gt=at))


def takes_post_challenge(phase: Phase, at: datetime) -> bool:
    """Whether the organisers have opened the phase for runs after its deadline."""
    opens, closes = phase.post_challenge_opens_at, phase.post_challenge_closes_at
    if opens is None or phase.archived_at:
        return False
    return max(opens, phase.closes_at) <= at and (closes is None or at < closes)


def offers_try_outs(phase: Phase) -> bool:
    """Whether an image can be tried out for the phase, on public cases."""
    return phase.takes_images and phase.try_outs_on is not None and phase.try_outs_on.cases_are_public


def requires_try_out(phase: Phase, at: datetime) -> bool:
    """Whether a run that is handed in at this instant needs a passed try-out of its image."""
    since = phase.try_out_required_from
    return since is not None and since <= at < phase.try_out_required_until and offers_try_outs(phase)


def announces_try_out(phase: Phase, at: datetime) -> bool:
    """Whether teams have to be told that a run needs a passed try-out: now, or from an announced instant on."""
    since, until = phase.try_out_required_from, phase.try_out_required_until
    return since is not None and max(since, at) < until and offers_try_outs(phase)


def cases_for(submission: Submission) -> QuerySet[Case]:
    """The cases on which a submission runs: all of its phase, or the same few public ones for every try-out."""
    if submission.cases_of is None:
        return submission.phase.case_set.cases.all()
    return submission.cases_of.case_set.cases.order_by("name")[: submission.phase.try_out_cases]


@dataclass(frozen=True)
class Stretch:
    """A time in which the same phases take runs, from `since` to before `until` (None: nothing is known to change).

    `open`: the one that closes first stands first. `after`: those that take post-challenge runs. `closed`: which of
    those at hand closed last; `next`: which opens next.
    """

    since: datetime
    until: datetime | None
    open: Sequence[Phase]
    after: Sequence[Phase]
    closed: Phase | None
    next: Phase | None


def stretches(phases: Collection[Phase], at: datetime) -> list[Stretch]:
    """What is open from now on, as far as these phases say, for pages that stay open meanwhile."""
    instants = [
        instant
        for phase in phases
        for instant in (phase.opens_at, phase.closes_at, phase.post_challenge_opens_at, phase.post_challenge_closes_at)
    ]
    changes = sorted({instant for instant in instants if instant and instant > at})[:MOST_CHANGES]
    return [_stretch(phases, since, until) for since, until in pairwise([at, *changes, None]) if since]


def _stretch(phases: Collection[Phase], since: datetime, until: datetime | None) -> Stretch:
    by_deadline = sorted(phases, key=lambda phase: (phase.closes_at, phase.pk or 0))
    closed = [phase for phase in by_deadline if phase.closes_at <= since]
    to_come = [phase for phase in phases if phase.opens_at > since]
    return Stretch(
        since=since,
        until=until,
        open=[phase for phase in by_deadline if phase.opens_at <= since < phase.closes_at],
        after=[phase for phase in closed if takes_post_challenge(phase, since)],
        closed=closed[-1] if closed else None,
        next=min(to_come, key=lambda phase: (phase.opens_at, phase.pk or 0), default=None),
    )


def newest_phase(phases: Sequence[Phase], at: datetime) -> Phase | None:
    """Of these phases the one that opened last; before any has, the one that opens first."""
    opened = [phase for phase in phases if phase.opens_at <= at]
    if opened:
        return max(opened, key=lambda phase: phase.opens_at)
    return min(phases, key=lambda phase: phase.opens_at, default=None)


def lock_phase(phase_id: int) -> Phase:
    """The phase as it is now, locked against other decisions about it; submissions may go on coming in."""
    return Phase.objects.select_for_update(no_key=True).get(pk=phase_id)


@transaction.atomic
def open_now(phase: Phase, *, by: Actor, why: str = "") -> None:
    """Open a phase at this instant, a draft too. Raises Refused."""
    phase, now = lock_phase(phase.pk), clock.now()
    if not phase.is_draft and phase.opens_at <= now:
        raise Refused(f"The {phase.name} opened {instant(phase.opens_at)}.")
    if phase.closes_at <= now:
        raise Refused(f"Its deadline has passed ({instant(phase.closes_at)}): move that first.")
    phase.is_draft, phase.opens_at = False, now.replace(microsecond=0)
    _clean(phase)
    save_phase(phase, by=by, why=why, pressed=("opens_at",), action="open phase")


@transaction.atomic
def close_now(phase: Phase, *, by: Actor, why: str = "") -> None:
    """Make this instant the deadline of an open phase; what was accepted before counts. Raises Refused."""
    phase, now = lock_phase(phase.pk), clock.now()
    if phase.is_draft or not phase.opens_at <= now < phase.closes_at:
        raise Refused(f"The {phase.name} is not open.")
    if not why.strip():
        raise Refused("Say why: teams planned by the later deadline.")
    phase.closes_at = now.replace(microsecond=0) + timedelta(seconds=1)  # what was accepted in this very second counts
    _clean(phase)
    save_phase(phase, by=by, why=why, pressed=("closes_at",), action="close phase")


@transaction.atomic
def reveal_now(phase: Phase, *, by: Actor, why: str = "") -> None:
    """Show the full result from this instant on. Raises Refused."""
    phase, now = lock_phase(phase.pk), clock.now()
    if phase.is_draft or phase.closes_at > now:
        raise Refused("The full result is revealed once the phase has closed.")
    if phase.revealed_at and phase.revealed_at <= now:
        raise Refused(f"The full result is out since {instant(phase.revealed_at)}.")
    if not why.strip():
        raise Refused("Say why: it is kept in the record.")
    phase.revealed_at = now
    _clean(phase)
    save_phase(phase, by=by, why=why, action="reveal phase")


@transaction.atomic
def drop_phase(phase: Phase, *, by: Actor, why: str = "") -> None:
    """Delete a draft in which nobody has anything. Raises Refused."""
    phase = lock_phase(phase.pk)
    if not phase.is_draft or any(rows.exists() for rows in (phase.submissions, phase.drafts, phase.approvals)):
        raise Refused("Only a draft in which nobody has anything can be dropped.")
    other = Phase.objects.filter(try_outs_on=phase).exclude(pk=phase.pk).first()
    if other:
        raise Refused(f"The {other.name} has its try-outs on its cases.")
    audit.record(by, "drop phase", phase, before={"slug": phase.slug, "name": phase.name}, why=why)
    Phase.objects.filter(pk=phase.pk).update(try_outs_on=None)
    phase.delete()


def _clean(phase: Phase) -> None:
    try:
        phase.full_clean()
    except ValidationError as invalid:
        raise Refused(" ".join(invalid.messages)) from invalid


@transaction.atomic
def save_phase(phase: Phase, *, by: Actor, why: str = "", pressed: Collection[str] = (), action: str = "") -> None:
    """Make a phase, or change its policies: a decision, with what it was before. Raises Refused.

    `pressed` are fields that an act of its own sets, which holds other rules than editing; `action` is its name.
    """
    old = Phase.objects.select_for_update(no_key=True).filter(pk=phase.pk).first()
    now = clock.now()
    for field, check in CHECKS.items():
        if field not in pressed:
            check(old, phase, now)
    if old:
        mid_phase.keep_limits(old, phase)
    policies = [field.attname for field in Phase._meta.concrete_fields if field.editable and not field.primary_key]
    phase.save(update_fields=policies if old else None)  # that it was archived meanwhile is no policy
    audit.record_change(by, action or ("change phase" if old else "add phase"), old, phase, fields=policies, why=why)


def check_reveal(old: Phase | None, new: Phase, at: datetime) -> None:
    """Refuse a reveal before the deadline, and a deadline after a reveal, be it one that is taken back with it."""
    if new.revealed_at and new.revealed_at < new.closes_at:
        raise Refused(
            "The full result is revealed once the phase has closed. Choose a reveal at the deadline or later, and a "
            "deadline not after the reveal."
        )
    _refuse_reveal_of_what_others_withhold(old, new)
    revealed = old.revealed_at if old else None
    if old and revealed and revealed <= at and new.closes_at > max(revealed, old.closes_at):
        raise Refused("The full result is out: the deadline cannot be moved past that reveal any more.")


def _refuse_reveal_of_what_others_withhold(old: Phase | None, new: Phase) -> None:
    """Numbers over all cases would tell those who can still hand in to another phase on them, which shows half."""
    if new.cases_are_public:
        return
    others = on_the_same_volumes(new.case_set).exclude(pk=new.pk).order_by("pk")
    if new.revealed_at and (old is None or old.revealed_at != new.revealed_at):
        withheld = others.filter(publication=Phase.Publication.HALF, closes_at__gt=new.revealed_at)
        if other := withheld.first():
            raise Refused(
                f"The {other.name}, on the same cases, withholds half of them and takes runs until "
                f"{instant(other.closes_at)}: choose a reveal at that instant or later."
            )
    if new.publication != Phase.Publication.HALF or (old is not None and old.closes_at >= new.closes_at):
        return
    other = others.filter(revealed_at__lt=new.closes_at).first()
    if other is not None and other.revealed_at is not None:
        raise Refused(
            f"The {other.name}, on the same cases, tells its full result from {instant(other.revealed_at)} on: nothing "
            "of them is withheld from then on. Choose an earlier deadline, or publish nothing."
        )


def check_publication(old: Phase | None, new: Phase, at: datetime) -> None:
    """Refuse to show numbers over all cases beside those over half before the reveal: together they tell the rest.

    Boards of before stay at their addresses, so it is asked of all that there were; and of other phases on these
    cases.
    """
    same = old is not None and (old.publication, old.case_set_id) == (new.publication, new.case_set_id)
    if same or new.cases_are_public or new.publication == Phase.Publication.NOTHING or _is_revealed(old, at):
        return
    is_half = new.publication == Phase.Publication.HALF
    scope = Standing.Scope.HALF if is_half else Standing.Scope.ALL
    before, now = ("all cases", "half of them") if is_half else ("half of the cases", "all of them")
    together = f"with numbers over {now} everybody could work out the withheld half before the reveal."
    if old and old.board_versions.exclude(rows=[]).exclude(scope=scope).exists():
        raise Refused(f"Boards of the phase have shown numbers over {before}, and stay at their addresses: {together}")
    for other in on_the_same_volumes(new.case_set).exclude(pk=new.pk).order_by("pk"):
        if other.publication not in (new.publication, Phase.Publication.NOTHING) and not _is_revealed(other, at):
            raise Refused(f"The {other.name}, on the same cases, shows numbers over {before}: {together}")


def _is_revealed(phase: Phase | None, at: datetime) -> bool:
    return phase is not None and phase.revealed_at is not None and phase.revealed_at <= at


def check_try_out(old: Phase | None, new: Phase, at: datetime) -> None:
    """Refuse to ask for a try-out without notice, or anew in the last hours before the deadline."""
    asks, asked = new.try_out_required_from, old.try_out_required_from if old else None
    if asks is None:
        return
    if new.try_outs_on_id is None:
        raise Refused("A try-out can only be required where the phase offers them: choose on the cases of which phase.")
    if not new.takes_images:
        raise Refused(
            "Only images can be tried out, and the phase takes none: clear the instant from which it is asked."
        )
    if asks >= new.try_out_required_until:
        raise Refused(
            f"In the last {FREE_HOURS} hours before the deadline no try-out is required: so it would never be."
        )
    is_later = asked is not None and asks >= asked
    if asks < at + NOTICE and not is_later:
        raise Refused(f"Teams are told {NOTICE.days} days ahead: a try-out can be required from then on, or later.")
    if old and asked and asked <= old.try_out_required_until <= at < new.try_out_required_until and asks < at + NOTICE:
        # Whoever was promised that nothing stands in the way any more would find the door shut again.
        raise Refused(
            f"Its last {FREE_HOURS} hours have begun, in which no try-out is required. If you move the deadline, clear "
            f"the instant from which one is required, or set it {NOTICE.days} days ahead."
        )


def check_archive(phase: Phase, at: datetime) -> None:
    """Refuse while boards are still to show results or names by themselves: archived, they stay as they are."""
    if phase.embargo_until and at < phase.embargo_until:
        raise Refused(f"Results are under embargo until {instant(phase.embargo_until)}: archive the phase after that.")
    if phase.anonymous_until_reveal and (phase.revealed_at is None or at < phase.revealed_at):
        raise Refused("Its boards name no team before the reveal: set “revealed at” first, and archive it after that.")


def check_ranking(old: Phase | None, new: Phase, _at: datetime) -> None:
    """Refuse ranks by findings without categories, and ranks that come or go once boards have rows."""
    if new.is_ranked and not new.case_set.is_ranked:
        raise Refused(
            f"Findings of {new.case_set} lack categories: only a phase that ranks nobody takes it. Clear “ranks its "
            "entries”, or import the set with its categories."
        )
    if old and old.is_ranked != new.is_ranked and old.board_versions.exclude(rows=[]).exists():
        raise Refused("Boards of the phase have rows, and stay at their addresses: whether it ranks them stays, too.")


def check_draft(old: Phase | None, new: Phase, at: datetime) -> None:
    """Refuse to make a draft of a phase that has opened, or in which a team has something."""
    if old is None or old.is_draft or not new.is_draft:
        return
    if old.opens_at <= at:
        raise Refused("The phase has opened, and its boards stay at their addresses: it can't become a draft any more.")
    if any(rows.exists() for rows in (old.submissions, old.drafts, old.approvals)):
        raise Refused("Teams have drafts or approvals in the phase: it can't become a draft any more.")


def check_embargo(old: Phase | None, new: Phase, at: datetime) -> None:
    """Refuse an embargo that begins once a board has shown numbers."""
    until = new.embargo_until
    if old is None or until is None or until <= at or until == old.embargo_until:
        return
    if _has_shown_rows(old):
        raise Refused("Boards of the phase have shown numbers, and stay at their addresses: an embargo comes too late.")


def check_anonymity(old: Phase | None, new: Phase, at: datetime) -> None:
    """Refuse to take back names that were told, and the promise not to tell them, but by a reveal."""
    if old is None:
        return
    was_out, is_out = (one.revealed_at is not None and one.revealed_at <= at for one in (old, new))
    begins = new.anonymous_until_reveal and (not old.anonymous_until_reveal or (was_out and not is_out))
    if begins and _has_shown_rows(old):
        raise Refused(
            "Boards of the phase have named its teams, and stay at their addresses: names can't be taken back."
        )
    ends = old.anonymous_until_reveal and not new.anonymous_until_reveal
    if ends and not is_out and old.submissions.exists():
        raise Refused("Teams handed in without being named: they are named at the reveal, so set “revealed at”.")


def _has_shown_rows(phase: Phase) -> bool:
    return phase.board_versions.exclude(rows=[]).exists()


CHECKS: Mapping[str, Callable[[Phase | None, Phase, datetime], None]] = {
    "is_draft": check_draft,
    "opens_at": mid_phase.check_opening,
    "closes_at": mid_phase.check_deadline,
    "counting": mid_phase.check_counting,
    "case_set": mid_phase.check_case_set,
    "show_categories": mid_phase.check_categories,
    "runs_total": mid_phase.check_quota,
    "gpus": mid_phase.check_gpus,
    "cases_are_public": mid_phase.check_public,
    "revealed_at": check_reveal,
    "publication": check_publication,
    "embargo_until": check_embargo,
    "anonymous_until_reveal": check_anonymity,
    "try_out_required_from": check_try_out,
    "post_challenge_opens_at": check_stays_over,
    "is_ranked": check_ranking,
}
"""What is asked of a change of a phase (as it was, as it would be, now), by the field in which a form says so."""
