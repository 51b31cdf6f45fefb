"""Organisers search all runs: by everything that is known of them, the state of the run first.

A filter is the parameters of an address, or of a command line; what it does not know there, it leaves out. Each is one
condition of a single question, however many runs there are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, QuerySet, Subquery, When

from leaderboard.models import Attempt, ImageProvenance, Membership, Objection, Run, Submission, User
from leaderboard.states import ENDED, RunState, SubmissionKind, SubmissionState

MOST_DIGITS = 18  # of a key
SHORTEST_DIGEST = 6
LAST_YEAR = 9999  # of dates, after which there is no next day
AT_WORK, WAITS = "at-work", "waits"

STATES: Mapping[str, str] = {
    WAITS: "Waits for a person",
    AT_WORK: "At work",
    **{state.value: str(state.label) for state in RunState},
    **{
        state.value: str(state.label)
        for state in SubmissionState
        if state not in (SubmissionState.ACCEPTED, SubmissionState.CANCELLED, SubmissionState.HALTED)
    },
}
STANDINGS: Mapping[str, tuple[str, Q]] = {
    "counting": ("May count", Q(disqualified_at=None, withdrawn_at=None)),
    "disqualified": ("Disqualified", Q(disqualified_at__isnull=False)),
    "withdrawn": ("Withdrawn", Q(withdrawn_at__isnull=False)),
    "not-charged": ("Not charged", Q(charged=False)),
    "objected": ("With an open objection", Q(decisions__objections__in=Objection.objects.filter(answered_at=None))),
}


@dataclass(frozen=True)
class Search:
    """What is searched for; each part is empty where it does not matter."""

    words: str = ""
    state: str = ""
    phase: str = ""
    kind: str = ""
    entry: str = ""
    track: str = ""
    standing: str = ""
    host: str = ""
    code: str = ""
    digest: str = ""
    since: str = ""
    until: str = ""

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Self:
        """The search of an address."""
        told = {name: " ".join(asked.get(name, "").split())[:200] for name in cls.__dataclass_fields__}
        for name, known in _KNOWN.items():
            if told[name] not in known:
                told[name] = ""
        for name in ("since", "until"):
            if _day(told[name]) is None:
                told[name] = ""
        if len(told["digest"]) < SHORTEST_DIGEST:
            told["digest"] = ""
        return cls(**told)

    @property
    def parameters(self) -> dict[str, str]:
        """What stands in the address."""
        return {name: value for name, value in vars(self).items() if value}

    def rows(self) -> QuerySet[Submission]:
        """The submissions that fit, the newest first, each with `stage_now` and `code_now` of its latest run."""
        rows = Submission.objects.annotate(stage_now=_STAGE, code_now=_latest("reason_code"))
        for name, condition in _CONDITIONS.items():
            if value := getattr(self, name):
                rows = rows.filter(condition(value))
        for word in self.words.split():
            rows = rows.filter(_of_word(word))
        return rows.order_by("-pk")


def _latest(field: str) -> Subquery:
    return Subquery(Run.objects.filter(submission=OuterRef("pk")).order_by("-number").values(field)[:1])


_STAGE = Case(When(state=SubmissionState.ACCEPTED, then=_latest("state")), default=F("state"), output_field=CharField())


def _of_word(word: str) -> Q:
    """A number of a run, or a part of what people are called, or the algorithm."""
    found = Q(algorithm__icontains=word) | Q(team__name__icontains=word) | Q(team__slug__icontains=word)
    called = Q(name__icontains=word) | Q(email__icontains=word)
    found |= Q(submitted_by__in=User.objects.filter(called).values("pk"))
    found |= Q(team__in=Membership.objects.filter(user__in=User.objects.filter(called).values("pk")).values("team"))
    number = word.lstrip("#")
    if number.isascii() and number.isdigit() and len(number) <= MOST_DIGITS:
        found |= Q(pk=int(number))
    return found


def _of_state(name: str) -> Q:
    if name == WAITS:
        halted = Run.objects.filter(submission=OuterRef("pk"), state=RunState.HALTED, retry_at=None)
        return Q(state=SubmissionState.HALTED, retry_at=None) | Q(Exists(halted), stage_now=RunState.HALTED)
    if name == AT_WORK:
        return ~Q(stage_now__in=[str(one) for one in ENDED])
    return Q(stage_now=name)


def _of_standing(name: str) -> Q:
    """In a question of its own: a run with two objections is one run."""
    return Q(pk__in=Submission.objects.filter(STANDINGS[name][1]).values("pk"))


def _of_host(name: str) -> Q:
    return Q(Exists(Attempt.objects.filter(batch__run__submission=OuterRef("pk"), host__name=name)))


def _of_code(code: str) -> Q:
    """A reason of the submission or of a run, the way in which a run failed, or a fault that ended an attempt."""
    of_runs = Run.objects.filter(Q(reason_code=code) | Q(failure_kind=code), submission=OuterRef("pk"))
    of_attempts = Attempt.objects.filter(fault=code, batch__run__submission=OuterRef("pk"))
    return Q(reason_code=code) | Q(Exists(of_runs)) | Q(Exists(of_attempts))


def _of_digest(part: str) -> Q:
    """The beginning, or any part, of a digest of an upload, an image, weights or a PDF: with or without “sha256:”."""
    originals = ImageProvenance.objects.filter(image_id__contains=part, submission=OuterRef("pk"))
    own = [f"{name}__contains" for name in ("upload", "weights_upload", "pdf")]
    own += ["image__image_id__contains", "image__archive__contains", "weights__archive__contains"]
    found = Q(Exists(originals))
    for name in own:
        found |= Q(**{name: part})
    return found


def _day(text: str) -> datetime | None:
    """The beginning of a day, UTC."""
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        return None


def _since(text: str) -> Q:
    return Q(accepted_at__gte=_day(text))


def _until(text: str) -> Q:
    """To the end of the day."""
    begins = _day(text)
    assert begins is not None
    return Q(accepted_at__lt=begins + timedelta(days=1)) if begins.year < LAST_YEAR else Q()


_KNOWN: Mapping[str, frozenset[str]] = {
    "state": frozenset({"", *STATES}),
    "kind": frozenset({"", *SubmissionKind.values}),
    "entry": frozenset({"", *Submission.Entry.values}),
    "track": frozenset({"", *Submission.Track.values}),
    "standing": frozenset({"", *STANDINGS}),
}
_CONDITIONS: Mapping[str, Callable[[str], Q]] = {
    "state": _of_state,
    "phase": lambda slug: Q(phase__slug=slug),
    "kind": lambda kind: Q(kind=kind),
    "entry": lambda entry: Q(entry=entry),
    "track": lambda track: Q(track=track),
    "standing": _of_standing,
    "host": _of_host,
    "code": _of_code,
    "digest": _of_digest,
    "since": _since,
    "until": _until,
}
