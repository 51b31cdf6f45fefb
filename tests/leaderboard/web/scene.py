"""What the pages have to show, made of rows: scored runs, and runs in the middle of their journey."""

from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

from leaderboard.core import clock
from leaderboard.models import Phase, Run, Standing, StateChange, Submission, Team
from tests.leaderboard import cast

HOSTILE = '<script>alert("x")</script>\u202e<b>'
# On hidden cases 2a is left out with 2g, of which it would tell.
GROUP_SIZES = {"focal": 40, "non_focal": 20, "small": 30, "medium": 15, "large": 15}
GROUP_SIZES |= {"1a": 20, "2a": 12, "2d": 24, "2g": 4}


def scored(
    team: Team, phase: Phase, *, dice: float = 0.3, lost: int = 0, at: datetime | None = None, **fields: Any
) -> Run:
    """A run that has ended with a place on the board; on the public half it is worse by 0.1."""
    submission = cast.submit_checked(team, phase, **fields)
    if at:
        Submission.objects.filter(pk=submission.pk).update(accepted_at=at)
    run, cases = submission.runs.get(), phase.case_set.cases.count()
    Standing.objects.bulk_create(
        Standing(
            run=run,
            scope=scope,
            evaluation_version="1",
            dice=value,
            cases=cases,
            lost_cases=lost,
            summary=cast.numbers(value, 60, hit_rate=min(1.0, 2 * value)),
            groups={
                code: cast.numbers(value, size, hit_rate=min(1.0, 2 * value)) for code, size in GROUP_SIZES.items()
            },
        )
        for scope, value in ((Standing.Scope.ALL, dice), (Standing.Scope.HALF, dice - 0.1))
    )
    return in_state(run, "scored", ended_at=clock.now() - timedelta(minutes=1))


def in_state(run: Run, state: str, **fields: Any) -> Run:
    """The run, put into a state with a line of history, a minute ago: then it is seen on hidden cases, too."""
    origin, at = run.state, clock.now() - timedelta(minutes=1)
    Run.objects.filter(pk=run.pk).update(state=state, **{"started_at": at - timedelta(minutes=4), **fields})
    StateChange.objects.create(
        submission=run.submission, run=run, from_state=origin, to_state=state, at=at, by="server"
    )
    run.refresh_from_db()
    return run


class Page(HTMLParser):
    """What tests ask a page: its elements with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._data = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        inside = self.elements[-1][0] if self.elements else ""
        if inside in {"script", "style"} and data.strip():
            self.scripts.append(data)
        self._data += data

    @property
    def text(self) -> str:
        """Its text as a browser shows it: however much space lies between two words, one is shown."""
        return " ".join(self._data.split())

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        """The attributes of every `tag` that has these attributes."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            found
            for name, found in self.elements
            if name == tag and all(found.get(key) == value for key, value in wanted.items())
        ]


def page(response: Any) -> Page:
    """A response as a page."""
    return Page(response.content.decode())
