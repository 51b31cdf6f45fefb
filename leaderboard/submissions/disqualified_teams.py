"""Teams that organisers disqualified in a phase: what they hand in there is refused, of whatever kind."""

from leaderboard.core.refusal import Refused
from leaderboard.models import Phase, Team, TeamDisqualification


def current(team_id: int, phase_id: int) -> TeamDisqualification | None:
    """The disqualification of a team in a phase that holds now."""
    return TeamDisqualification.objects.filter(team=team_id, phase=phase_id, ended_at=None).first()


def check(team: Team, phase: Phase) -> None:
    """Refuse what a disqualified team hands in, with the reason. Drafts are kept."""
    found = current(team.pk, phase.pk)
    if found is not None:
        raise Refused(
            f"The organisers disqualified your team in the {phase.name}, so it takes nothing of it: {found.reason}"
        )
