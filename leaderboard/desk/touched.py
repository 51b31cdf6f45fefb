"""Which entries changes of a phase touch: by their state, then those for which they are bad news."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Count, QuerySet

from leaderboard.challenge import mid_phase
from leaderboard.challenge.policies import POLICIES
from leaderboard.core.refusal import Refused
from leaderboard.models import Draft, Phase, Run, RunCase, Submission
from leaderboard.rescoring.preview import BoardPreview
from leaderboard.states import RunState, SubmissionKind
from leaderboard.submissions import admission

MOST_NAMES = 50
_SIZES = {"max_archive_bytes", "max_unpacked_bytes", "max_masks_bytes"}


@dataclass(frozen=True)
class Touched:
    """Entries of one state: how many, what the changes mean for them, and of which teams where that matters."""

    what: str
    number: int
    means: str
    teams: Sequence[str] = ()


def touched(before: Phase, after: Phase, names: set[str], boards: Sequence[BoardPreview]) -> Iterator[Touched]:
    """Entries by their state, then those for which the changes are bad news."""
    for_queued, for_drafts = _of_limits(before, after, names)
    under_way = mid_phase.under_way(before)
    at_work = Run.objects.filter(submission__in=under_way, started_at__isnull=False, ended_at=None).count()
    yield Touched("At work", at_work, for_queued)
    yield Touched("Waiting", under_way.count() - at_work, for_queued)
    yield Touched("Drafts", Draft.objects.filter(phase=before).count(), for_drafts)
    of_phase = Run.objects.filter(submission__phase=before, submission__kind=SubmissionKind.SCORED)
    scored = of_phase.filter(state=RunState.SCORED).values("submission").distinct().count()
    yield Touched("Scored", scored, _of_counting(boards))
    yield from _too_large(before, after)
    yield from _would_not_pass(before, after)
    yield from _at_the_quota(before, after)
    yield from _not_approved(before, after)


def _of_limits(before: Phase, after: Phase, names: set[str]) -> tuple[str, str]:
    limits = [name for name in mid_phase.KEPT_LIMITS if name in names]
    if not limits:
        return "nothing", "nothing" if not names else "their teams read it on the form"
    lower = mid_phase.lowered(before, after)
    kept = ", ".join(f"{POLICIES[name].label.lower()} {POLICIES[name].tell(before)}" for name in lower)
    wider = ", ".join(
        f"{POLICIES[name].label.lower()} {POLICIES[name].tell(after)}" for name in limits if name not in lower
    )
    parts = [f"keep {kept}" if kept else "", f"have {wider} from their next container on" if wider else ""]
    return "; ".join(filter(None, parts)), "get the new limits; their teams read them on the form"


def _of_counting(boards: Sequence[BoardPreview]) -> str:
    teams = {
        of.team
        for one in boards
        for of in one.teams
        if of.before and of.after and of.before.submission != of.after.submission
    }
    if not teams:
        return "nothing"
    return f"{len(teams)} {'team has' if len(teams) == 1 else 'teams have'} another counting run"


def _too_large(before: Phase, after: Phase) -> Iterator[Touched]:
    """Drafts whose files, or the image of an earlier run that they name, fit the limits of now and not the new ones."""
    if not _SIZES & set(mid_phase.lowered(before, after)):
        return
    rows = Draft.objects.filter(phase=before).select_related("team", "source__image").prefetch_related("uploads")
    unread = ("source__method", "source__external_data", "source__image__config")
    found = [one for one in rows.defer(*unread) if _fits(one, before) and not _fits(one, after)]
    if found:
        names = sorted({one.team.name for one in found})[:MOST_NAMES]
        yield Touched("Drafts that are too large then", len(found), "their teams have to send a smaller file", names)


def _fits(draft: Draft, phase: Phase) -> bool:
    """Whether what was sent for a draft, or is on its way, would be taken when it is handed in."""
    image = draft.source.image if draft.source else None
    if image is not None and image.unpacked_bytes > phase.max_unpacked_bytes:
        return False
    entry = admission.entry_said(draft.words, phase)
    try:
        for one in draft.uploads.all():
            admission.check_upload(one.length, phase, entry, one.part)
    except Refused:
        return False
    return True


def _would_not_pass(before: Phase, after: Phase) -> Iterator[Touched]:
    if after.case_seconds >= before.case_seconds:
        return
    slow = RunCase.objects.filter(
        run__submission__phase=before, run__state=RunState.SCORED, seconds__gt=after.case_seconds
    )
    runs = Run.objects.filter(pk__in=slow.values("run"))
    means = f"took more than {POLICIES['case_seconds'].tell(after)} on a case; their scores stay"
    yield Touched("Would not pass again", runs.count(), means, _teams(Submission.objects.filter(runs__in=runs)))


def _at_the_quota(before: Phase, after: Phase) -> Iterator[Touched]:
    if after.runs_total >= before.runs_total:
        return
    runs = before.submissions.filter(kind=SubmissionKind.SCORED, charged=True)
    used_up = runs.order_by().values("team").annotate(used=Count("pk")).filter(used__gte=after.runs_total)
    teams = _teams(before.submissions.filter(team__in=used_up.values("team")))
    yield Touched("Teams without a run left", len(teams), f"have used {after.runs_total}", teams)


def _not_approved(before: Phase, after: Phase) -> Iterator[Touched]:
    if before.requires_approval or not after.requires_approval:
        return
    approved = before.approvals.filter(state="approved").values("team")
    drafts = Draft.objects.filter(phase=before).exclude(team__in=approved)
    names = sorted(set(drafts.values_list("team__name", flat=True)))[:MOST_NAMES]
    yield Touched(
        "Drafts of teams that are not approved", drafts.count(), "can’t be handed in until you approve", names
    )


def _teams(submissions: QuerySet[Submission]) -> list[str]:
    return list(submissions.order_by("team__name").values_list("team__name", flat=True).distinct()[:MOST_NAMES])
