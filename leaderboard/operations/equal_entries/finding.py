"""Each submission, and each run, compared once with those of other teams; what is equal is written down."""

from collections.abc import Iterator, Sequence

from django.db import transaction
from django.db.models import Q, QuerySet

from leaderboard.core import clock, locks
from leaderboard.models import EqualEntry, Equality, ImageProvenance, Run, Submission
from leaderboard.operations.equal_entries import layers
from leaderboard.operations.equal_entries.masks import EqualMasks, equal_masks
from leaderboard.states import UNCHECKED, SubmissionState

AT_ONCE = 20  # so few a sweep that it keeps nothing waiting, also when an upgrade finds years of them
_KIND = "equal entries"


def submissions() -> QuerySet[Submission]:
    """Some that are to be compared: their check is over."""
    waiting = Submission.objects.filter(compared_at=None).exclude(state__in={*UNCHECKED, SubmissionState.HALTED})
    return (
        waiting.select_related("provenance", "image", "weights")
        .defer("method", "external_data")
        .order_by("pk")[:AT_ONCE]
    )


def runs() -> QuerySet[Run]:
    """Some whose masks are to be compared: they have ended."""
    waiting = Run.objects.filter(compared_at=None, ended_at__isnull=False)
    related = waiting.select_related("submission__image", "submission__provenance")
    return related.defer("submission__method", "submission__external_data").order_by("pk")[:AT_ONCE]


@transaction.atomic
def compare_submission(submission: Submission) -> None:
    """Find the upload, image, layers or weights of a submission among other teams'; again, nothing changes."""
    locks.one_at_a_time(_KIND)  # or two at once would each miss what the other is about to write
    nothing_stronger = of_other_teams = ~Q(team=submission.team_id)
    for kind, field, digest in _digests_of(submission):
        _join_by_digest(kind, submission, digest, Submission.objects.filter(**{field: digest}), nothing_stronger)
        nothing_stronger &= ~Q(**{field: digest})
    if provenance := _provenance_of(submission):
        layers.keep(provenance)
        if shared := layers.own_in_others(submission, nothing_stronger):
            _join(Equality.Kind.LAYERS, submission, shared, layers.sharing(shared))
    if weights := submission.weights:
        _join_by_digest(Equality.Kind.WEIGHTS, submission, weights.archive, weights.submissions.all(), of_other_teams)
    Submission.objects.filter(pk=submission.pk).update(compared_at=clock.now())


@transaction.atomic
def compare_run(run: Run) -> None:
    """Find the masks of a run among other teams'; doing it again changes nothing."""
    locks.one_at_a_time(_KIND)
    found = equal_masks(run)
    others = Submission.objects.filter(pk__in=[one.submission for one in found])
    for _, field, digest in _digests_of(run.submission):
        others = others.exclude(**{field: digest})
    known = set(others.values_list("pk", flat=True))
    if equal := [one for one in found if one.submission in known]:
        _join_by_masks(run, equal)
    Run.objects.filter(pk=run.pk).update(compared_at=clock.now())


def _digests_of(submission: Submission) -> Iterator[tuple[Equality.Kind, str, str]]:
    """What names the whole of it, the strongest first: kind, field, digest.

    Its image is named twice, for another version of the check may rebuild the same one in another way.
    """
    yield Equality.Kind.UPLOAD, "upload", submission.upload
    if submission.image:
        yield Equality.Kind.IMAGE, "image__image_id", submission.image.image_id
    if provenance := _provenance_of(submission):
        yield Equality.Kind.IMAGE, "provenance__image_id", provenance.image_id


def _provenance_of(submission: Submission) -> ImageProvenance | None:
    return getattr(submission, "provenance", None)


def _join_by_digest(
    kind: Equality.Kind, submission: Submission, digest: str, equal: QuerySet[Submission], nothing_stronger: Q
) -> None:
    if Equality.objects.filter(kind=kind, key=digest).exists() or equal.filter(nothing_stronger).exists():
        _join(kind, submission, digest, equal)


def _join(kind: Equality.Kind, submission: Submission, key: str, equal: QuerySet[Submission]) -> None:
    """Write down that the submission shares in it; when it is new, that all others do."""
    at = clock.now()
    equality, is_new = Equality.objects.get_or_create(kind=kind, key=key, defaults={"found_at": at})
    keys = {submission.pk, *equal.values_list("pk", flat=True)} if is_new else {submission.pk}
    _add([EqualEntry(equality=equality, submission_id=one, added_at=at) for one in sorted(keys)])


def _join_by_masks(run: Run, equal: Sequence[EqualMasks]) -> None:
    """Join what the most equal one shares in that shares in any; else all of them share in something new."""
    best = {one.submission: one for one in reversed(equal)}
    shared = EqualEntry.objects.filter(equality__kind=Equality.Kind.MASKS, submission__in=best)
    shares_in = dict(shared.values_list("submission", "equality"))
    joined = next((shares_in[one.submission] for one in equal if one.submission in shares_in), None)
    mine = run.submission_id
    if joined is None:
        at, key = clock.now(), f"run {run.pk}"
        joined = Equality.objects.create(kind=Equality.Kind.MASKS, key=key, found_at=at).pk
        _add([_entry(joined, other, best[other], like=mine) for other in sorted(best)])
    _add([_entry(joined, mine, equal[0], like=equal[0].submission)])


def _entry(equality: int, submission: int, measured: EqualMasks, *, like: int) -> EqualEntry:
    return EqualEntry(
        equality_id=equality,
        submission_id=submission,
        added_at=clock.now(),
        like_id=like,
        equal_cases=measured.equal,
        compared_cases=measured.compared,
    )


def _add(entries: list[EqualEntry]) -> None:
    EqualEntry.objects.bulk_create(entries, ignore_conflicts=True)
