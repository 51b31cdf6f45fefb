"""The containers of a run: how each ended, and what it printed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.db.models import F, Q, QuerySet
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Length, Right

from containers.protocol.verdicts import describe_exit
from leaderboard.models import Attempt, Run

SHOWN_CHARACTERS = 64 << 10  # of a log, on a page; the file has all that was kept


@dataclass(frozen=True)
class ContainerLine:
    """One container, by its batch and the attempt at it. `characters`: the length of what was kept of its log."""

    batch: int
    attempt: int
    is_canary: bool
    started_at: datetime
    seconds: float | None
    exit_code: int | None
    out_of_memory: bool
    interrupted: bool
    warnings: int
    characters: int

    @property
    def name(self) -> str:
        """How an address names it."""
        return f"{self.batch}-{self.attempt}"

    @property
    def exit(self) -> str:
        """Its exit code as people read it: `0`, `1`, `139 (SIGSEGV: segmentation fault)`."""
        return exit_words(self.exit_code, out_of_memory=self.out_of_memory)

    @property
    def ended_well(self) -> bool:
        """Whether the program said so itself."""
        return self.exit_code == 0

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise, and not by our fault."""
        return not (self.ended_well or self.interrupted)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The line of a row of `containers_of`."""
        return cls(
            batch=row["batch__number"],
            attempt=row["fence"],
            is_canary=row["batch__is_canary"],
            started_at=row["claimed_at"],
            seconds=row["seconds"],
            exit_code=row["exit_code"],
            out_of_memory=bool(row["out_of_memory"]),
            interrupted=bool(row["fault"]),
            warnings=len(row["noticed"] or ()),
            characters=row["characters"],
        )


def exit_words(code: int | None, *, out_of_memory: bool = False) -> str:
    """An exit code with the signal that it stands for, if it does."""
    if code is None:
        return "none: it did not start"
    words = describe_exit(code).removeprefix("exit code ")
    return f"{words}, out of memory" if out_of_memory else words


def containers_of(run: Run) -> QuerySet[Any, dict[str, Any]]:
    """The containers of a run that have ended, the last one first."""
    ended = Attempt.objects.filter(batch__run=run, ended_at__isnull=False).exclude(container=None, log="")
    rows = ended.order_by("-pk").annotate(
        seconds=KeyTransform("seconds", "container"),
        exit_code=KeyTransform("exit_code", "container"),
        out_of_memory=KeyTransform("oom_killed", "container"),
        noticed=KeyTransform("warnings", "container"),
        characters=Length("log"),
    )
    columns = ("batch__number", "fence", "batch__is_canary", "claimed_at", "fault")
    found: QuerySet[Any, dict[str, Any]] = rows.values(
        *columns, "seconds", "exit_code", "out_of_memory", "noticed", "characters"
    )
    return found


@dataclass(frozen=True)
class Log:
    """The end of what a container printed, standard output and error in the order in which they came."""

    container: ContainerLine
    text: str

    @property
    def is_cut(self) -> bool:
        """Whether there is more of it than is shown."""
        return len(self.text) < self.container.characters


def log_of(run: Run, name: str = "", *, characters: int = SHOWN_CHARACTERS) -> Log | None:
    """The log of the container of this name; without one, of the last that failed, or else of the last."""
    rows = containers_of(run)
    if name:
        batch, _, attempt = name.partition("-")
        if not (batch.isascii() and batch.isdecimal() and attempt.isascii() and attempt.isdecimal()):
            return None
        rows = rows.filter(Q(batch__number=min(int(batch), 2**15 - 1), fence=min(int(attempt), 2**31 - 1)))
    else:
        rows = rows.filter(pk=_most_telling(rows))
    row = rows.annotate(end=Right(F("log"), characters)).first()
    return Log(ContainerLine.of(row), row["end"]) if row else None


def _most_telling(containers: QuerySet[Any, dict[str, Any]]) -> int | None:
    """The last that failed, since it explains what was lost; else the last. No log is read for it."""
    ended = list(containers.values_list("pk", "fault", "exit_code"))
    failed = (pk for pk, fault, code in ended if not fault and code != 0)
    return next(failed, ended[0][0] if ended else None)
