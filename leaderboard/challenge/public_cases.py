"""Making hidden cases public: once, for all phases on them, when nothing more can be handed in on them.

From then on everything of every run on them is shown, masks and logs among it, and their files may be offered for
download (challenge.downloads). There is no way back.
"""

from django.core.exceptions import ValidationError
from django.db import transaction

from leaderboard.challenge.phases import save_phase
from leaderboard.challenge.published_cases import on_the_same_volumes, what_may_still_ask
from leaderboard.core import clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.models import Phase

_PRESSED = ("cases_are_public", "publication", "anonymous_until_reveal", "embargo_until")


@transaction.atomic
def make_public(phase: Phase, *, by: Actor, why: str) -> None:
    """Make the cases of a phase public, with all phases on them. Raises Refused while anybody may still ask."""
    if phase.cases_are_public:
        raise Refused(f"The cases of the {phase.name} are public already.")
    if not why.strip():
        raise Refused("Say why: the reason is kept in the record.")
    phases = list(on_the_same_volumes(phase.case_set).select_for_update(no_key=True).order_by("pk"))
    now = clock.now()
    for one in phases:
        if stands_against := what_may_still_ask(one, now):
            raise Refused(
                "Cases are made public once nothing more can be handed in on them. The "
                f"{one.name} stands in the way: {stands_against}."
            )
    for one in phases:
        one.cases_are_public, one.publication, one.embargo_until = True, Phase.Publication.EVERYTHING, None
        save_phase(one, by=by, why=why, pressed=_PRESSED, action="make cases public")
    _check(phases)
    phase.refresh_from_db()


def _check(phases: list[Phase]) -> None:
    """Asked once all of them are changed: each looks at the others."""
    for one in phases:
        try:
            Phase.objects.get(pk=one.pk).full_clean()
        except ValidationError as invalid:
            raise Refused(" ".join(invalid.messages)) from invalid
