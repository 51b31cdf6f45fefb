"""What boards call teams while they do not name them: “Team 7”, by a number that was drawn at random for the phase.

The number tells nothing of a team: not when it registered, nor when it handed in, nor how it ranks. It is kept, so that
a team is called the same in all versions of a phase's boards, and another number in another phase.
"""

import secrets
from collections.abc import Iterable

from leaderboard.models import Phase, Team, TeamAlias

FEWEST = 99  # numbers to draw from; of more teams than half of them the next power of ten


def aliases_of(phase: Phase, teams: Iterable[int]) -> dict[int, int]:
    """The numbers of these teams (their keys), by team; who has none yet gets one."""
    wanted = set(teams)
    while missing := wanted - (known := _known(phase)).keys():
        drawn = _draw({*known.values(), *_called_so()}, len(missing))
        rows = [
            TeamAlias(phase=phase, team_id=team, number=number) for team, number in zip(missing, drawn, strict=True)
        ]
        TeamAlias.objects.bulk_create(rows, ignore_conflicts=True)  # of what another process drew meanwhile
    return {team: known[team] for team in wanted}


def _known(phase: Phase) -> dict[int, int]:
    return dict(TeamAlias.objects.filter(phase=phase).values_list("team", "number"))


def _called_so() -> set[int]:
    """The numbers of teams that are really called “Team 7”: another team must not be taken for them."""
    slugs = Team.objects.filter(slug__regex=r"^team-[0-9]{1,9}$").values_list("slug", flat=True)
    return {int(slug.removeprefix("team-")) for slug in slugs}


def _draw(taken: set[int], count: int) -> list[int]:
    """So many numbers from 1 on that are not taken; at least as many stay free."""
    most = FEWEST
    while most < 2 * (len(taken) + count):
        most = 10 * most + 9
    return secrets.SystemRandom().sample(sorted(set(range(1, most + 1)) - taken), count)
