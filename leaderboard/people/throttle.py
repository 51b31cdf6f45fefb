"""How often something may be tried: a delay that grows with each try in a row, and is forgotten with time.

The counts are rows, so they hold for all processes, and no broker that is flushed forgets them. A try is counted before
it is made, in a short transaction: a hundred at the same instant are a hundred, not one. Tries that are turned away are
not counted, so nobody who keeps knocking makes anybody wait longer.

Rows hold hashes that only this server can make: nobody reads in them who signed in from where.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.crypto import salted_hmac

from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.models import Throttle

KEPT = timedelta(days=1)  # after so long without a try no limit holds anybody up


@dataclass(frozen=True)
class Limit:
    """`free` tries at once; then a pause that doubles from `first_seconds`. One try is forgotten each so often."""

    free: int
    first_seconds: float
    longest_seconds: float
    forget_seconds: float

    def pause(self, level: float) -> float:
        """Seconds that have to pass after a try that brought the count to this level."""
        tries = round(level)  # a second after the fifth try a little of it is forgotten
        if tries < self.free:
            return 0.0
        doublings = min(tries - self.free, 30)
        return min(self.longest_seconds, self.first_seconds * (1 << doublings))

    def level_at(self, row: Throttle, now: datetime) -> float:
        """What is left of a row's count."""
        passed = max(0.0, (now - row.at).total_seconds())
        return max(0.0, row.level - passed / self.forget_seconds)

    def wait(self, row: Throttle, now: datetime) -> float:
        """Seconds until the next try. Never longer than the pause, also after a clock was set back."""
        pause = self.pause(row.level)
        return min(pause, pause - (now - row.at).total_seconds())


class TooSoon(Refused):
    """Not yet. The text says for how long; `seconds` is the same for programs."""

    def __init__(self, sentence: str, seconds: float) -> None:
        self.seconds = max(1, round(seconds + 0.5))
        super().__init__(sentence.format(wait=in_words(self.seconds)))


def key_of(kind: str, *about: str) -> str:
    """The key under which tries of this kind are counted."""
    return salted_hmac("rexg.throttle", "\0".join((kind, *about)), algorithm="sha256").hexdigest()


@transaction.atomic
def count(limits: Mapping[str, Limit], *, sentence: str, accounts: Mapping[str, str] | None = None) -> None:
    """Count a try under each of the keys; TooSoon, with `sentence` and its {wait}, if one of them has to wait.

    `accounts` names the account that a key is about, for `forgive`.
    """
    about, first = accounts or {}, clock.now()
    new = [Throttle(key=key, account=about.get(key, ""), level=0.0, at=first) for key in sorted(limits)]
    Throttle.objects.bulk_create(new, ignore_conflicts=True)
    rows = _locked(limits)
    now = clock.now()
    _refuse_too_soon(rows, limits, now, sentence)
    for row in rows:
        row.level, row.at = limits[row.key].level_at(row, now) + 1, now
    Throttle.objects.bulk_update(rows, ["level", "at"])


def check(limits: Mapping[str, Limit], *, sentence: str) -> None:
    """TooSoon if a try would have to wait; nothing is counted."""
    rows = list(Throttle.objects.filter(key__in=list(limits)))
    _refuse_too_soon(rows, limits, clock.now(), sentence)


@transaction.atomic
def give_back(*keys: str) -> None:
    """Take a try off the counts of these keys: it was none of those that they are about."""
    for row in _locked(keys):
        row.level = max(0.0, row.level - 1)
        row.save(update_fields=["level"])


def reset(*keys: str) -> None:
    """Begin anew with these keys."""
    Throttle.objects.filter(key__in=keys).delete()


def forgive(account: str) -> None:
    """Begin anew with everything that was counted about an account."""
    Throttle.objects.filter(account=account).delete()


def forget_old() -> None:
    """Remove what holds nobody up any more."""
    Throttle.objects.filter(at__lt=clock.now() - KEPT).delete()


def in_words(seconds: int) -> str:
    """A wait as a sentence has it, never shorter than it is."""
    amount, unit = (seconds, "second") if seconds < 100 else (-(-seconds // 60), "minute")
    return f"{amount} {unit}{'' if amount == 1 else 's'}"


def _refuse_too_soon(rows: Sequence[Throttle], limits: Mapping[str, Limit], now: datetime, sentence: str) -> None:
    wait = max((limits[row.key].wait(row, now) for row in rows), default=0.0)
    if wait > 0:
        raise TooSoon(sentence, wait)


def _locked(keys: Iterable[str]) -> list[Throttle]:
    # Always in the same order: two requests that lock the same rows wait for each other, never crosswise.
    return list(Throttle.objects.select_for_update().filter(key__in=list(keys)).order_by("key"))
