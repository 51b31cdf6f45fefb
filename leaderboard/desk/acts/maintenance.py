"""Pauses for maintenance: announced, begun, ended, called off."""

from collections.abc import Callable
from datetime import datetime

from leaderboard.challenge import maintenance
from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.core.text import read_instant
from leaderboard.desk.acting import Act, Value
from leaderboard.desk.kinds import NEW_PAUSE, PAUSE
from leaderboard.models import Maintenance

_MOST_CHARACTERS = 300
PROTECTED = (
    "What runs is brought to its end, and nothing new starts. Uploads and submissions are taken all the while. A "
    "deadline in it, or within a day after it, is moved by its length."
)


def read_words(text: str) -> str:
    """What every page says. Raises Refused."""
    if len(text) > _MOST_CHARACTERS:
        raise Refused(f"Say it in {_MOST_CHARACTERS} characters.")
    return text


_UNTIL = Value("ends_at", "Until (UTC)", "As 2026-09-14 20:00.", read_instant)
_WORDS = Value("words", "Words", "What is done, for every page: “The server gets a larger disk.”", read_words)


def meant(pause: Maintenance, at: datetime) -> set[str]:
    """The names of the acts that mean something for a pause at an instant."""
    if pause.is_to_come(at):
        return {"begin-planned-pause", "cancel-pause"}
    return {"end-pause"} if pause.is_on(at) else set()


def _offered(name: str) -> Callable[[Maintenance], bool]:
    return lambda pause: name in meant(pause, clock.now())


PLAN = Act(
    "plan-pause",
    "Plan a pause",
    NEW_PAUSE,
    f"It stands on every page from now on. {PROTECTED}",
    maintenance.plan,
    values=(Value("begins_at", "From (UTC)", "As 2026-09-14 18:00.", read_instant), _UNTIL, _WORDS),
)
BEGIN_NOW = Act(
    "begin-pause",
    "Begin a pause now",
    NEW_PAUSE,
    f"Nobody was told: where there is time, plan it instead. {PROTECTED}",
    maintenance.begin_now,
    values=(_UNTIL, _WORDS),
    needs_reason=True,
    is_grave=True,
)
BEGIN_EARLY = Act(
    "begin-planned-pause",
    "Begin it now",
    PAUSE,
    f"It begins earlier than teams were told. {PROTECTED}",
    maintenance.begin_early,
    needs_reason=True,
    is_offered=_offered("begin-planned-pause"),
    is_grave=True,
)
END = Act(
    "end-pause",
    "End it now",
    PAUSE,
    "Runs start again with the next round. Deadlines that were moved stay where they are.",
    maintenance.end,
    is_offered=_offered("end-pause"),
)
CANCEL = Act(
    "cancel-pause",
    "Call it off",
    PAUSE,
    "It goes from all pages. Deadlines that were moved stay where they are: teams were told.",
    maintenance.cancel,
    is_offered=_offered("cancel-pause"),
)
OF_ONE = (BEGIN_EARLY, END, CANCEL)
ACTS = (PLAN, BEGIN_NOW, *OF_ONE)
