"""All runs of a phase scored anew: started, and applied as a whole or discarded."""

from collections.abc import Mapping
from typing import Any

from leaderboard.board import versions
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.desk.acting import Act, Value
from leaderboard.desk.choosing import Rows
from leaderboard.desk.kinds import PHASE
from leaderboard.models import CaseSet, Phase, Rescoring
from leaderboard.notices import telling
from leaderboard.rescoring import decisions
from leaderboard.rescoring.progress import undecided


def _start(phase: Phase, *, by: Actor, why: str, cases: CaseSet | None) -> None:
    decisions.start(phase, cases=cases, reason=why, by=by)


def _apply(phase: Phase, *, by: Actor, why: str, leave_out: bool, message: str = "", tell: str = "") -> None:
    """Where teams are told, their message is sent with it, or nothing comes of either."""
    if tell and not message:
        raise Refused("Write what the teams read.")

    def then() -> None:
        subject = f"The {phase.name}: all runs were scored anew"[: telling.LONGEST_SUBJECT]
        told = telling.Message(subject, message, by_mail="mail" in tell, on_site="site" in tell)
        if tell:
            telling.tell(told, phase, why=why, by=by)

    decisions.apply(phase, leave_out=leave_out, why=why, by=by, then=then)


def words_for_teams(rescoring: Rescoring, changes: Mapping[str, Any] | None) -> str:
    """What to begin with when teams are told: of a board as everybody sees it."""
    public = [one for one in (changes or {}).get("boards", ()) if one["reader"] == "public" and one["teams"]]
    moved = [f"{one['moved']} of {len(one['teams'])} on the {one['track'].capitalize()} track" for one in public]
    anew = (
        f"All runs of the {rescoring.phase.name} were scored again from their kept masks, by evaluation version "
        f"{rescoring.to_version}: {rescoring.reason}"
    )
    ranks = f"Other ranks: {', '.join(moved)}." if moved else ""
    return "\n\n".join(filter(None, [anew, ranks, "Boards of before stay readable at their own addresses."]))


def _case_set(name: str) -> Any:
    return CaseSet.objects.filter(name=name).first() if name else None


_CASES = Value(
    "cases",
    "Case set",
    "With mended references, if these changed; else the phase's own, by the metrics that the server has now.",
    read=_case_set,
    choices=Rows(CaseSet.objects.order_by("name").all, "name", nothing="The phase's own"),
    is_required=False,
)
_LEAVE_OUT = Value(
    "leave_out",
    "Runs whose masks are gone",
    "They would keep their old numbers. That they have no rank any more has to be said.",
    read=lambda text: text == "yes",
    choices={"": "There are none", "yes": "Rank them no more"},
    is_required=False,
)
_TELL = Value(
    "tell",
    "Tell the teams of the phase",
    "It is sent with the new numbers, and not without them; your reason stands below it.",
    choices={
        "": "Nobody",
        "mail": "By mail",
        "site": "A line on every page",
        "mail-site": "By mail, and on every page",
    },
    is_required=False,
)
_MESSAGE = Value("message", "What they read", "An empty line begins a paragraph.", is_required=False, is_long=True)
START = Act(
    "start-rescoring",
    "Score anew",
    PHASE,
    "All its runs are scored again from their kept masks, in the background. Nobody reads a new number before you "
    "apply them as a whole; its board tells everybody the reason at once.",
    _start,
    values=(_CASES,),
    needs_reason=True,
    is_offered=lambda phase: phase.archived_at is None and undecided(phase) is None,
)
APPLY = Act(
    "apply-rescoring",
    "Apply as a whole",
    PHASE,
    "All boards of the phase change at once to the new numbers. Boards of before stay readable at their own addresses.",
    _apply,
    values=(_LEAVE_OUT, _TELL, _MESSAGE),
    needs_reason=True,
    is_offered=lambda phase: undecided(phase) is not None,
    is_grave=True,
    around=lambda phase: versions.making(phase.pk),  # until all numbers are committed
)
DISCARD = Act(
    "discard-rescoring",
    "Discard",
    PHASE,
    "Everything stays as it is. What would have changed is kept in the record, and never ranked.",
    decisions.discard,
    needs_reason=True,
    is_offered=lambda phase: undecided(phase) is not None,
)
ACTS = (START, APPLY, DISCARD)
