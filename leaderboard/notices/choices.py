"""Which kinds of notices a person does without."""

from collections.abc import Collection

from allauth.account.models import EmailAddress
from django.db import transaction

from leaderboard.core import clock, outbox
from leaderboard.models import NoticeKind, NoticeStop, User

MEANS: dict[NoticeKind, str] = {
    NoticeKind.RUNS: "A run of your team is scored, has failed, was rejected, or waits because of us.",
    NoticeKind.TRY_OUTS: "The same of try-outs.",
    NoticeKind.DEADLINES: "A phase closes in a week, or in a day; its deadline was moved.",
    NoticeKind.PHASES: "A phase has opened; the results of one to which your team handed in are out.",
    NoticeKind.ANNOUNCEMENTS: "What the organisers tell everybody, or the teams of a phase.",
}


def wanted_by(user: User) -> set[NoticeKind]:
    """The kinds that a person gets."""
    stopped = set(NoticeStop.objects.filter(user=user).values_list("kind", flat=True))
    return {kind for kind in NoticeKind if kind not in stopped}


@transaction.atomic
def choose(user: User, wanted: Collection[str]) -> None:
    """Have a person get these kinds, and no others."""
    for kind in NoticeKind:
        if kind in wanted:
            resume(user, kind)
        else:
            stop(user, kind)


@transaction.atomic
def stop(user: User, kind: NoticeKind) -> None:
    """No more notices of this kind, nor what waits of it to be sent."""
    NoticeStop.objects.get_or_create(user=user, kind=kind, defaults={"at": clock.now()})
    addresses = EmailAddress.objects.filter(user=user).values_list("email", flat=True)
    outbox.drop_notices(addresses, kind=kind, why="not wanted any more")


def resume(user: User, kind: NoticeKind) -> None:
    """Notices of this kind again."""
    NoticeStop.objects.filter(user=user, kind=kind).delete()
