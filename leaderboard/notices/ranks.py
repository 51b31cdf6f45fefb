"""What each team is told of its place once a phase is revealed: as the board says it, with how sure it is."""

from collections.abc import Iterable, Iterator, Sequence

from leaderboard.board.disclosure import Disclosure
from leaderboard.board.reading import read_board
from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.core.text import one_line
from leaderboard.models import Announcement, Membership, Phase, Submission
from leaderboard.notices.recipients import Recipient

Ranks = dict[int, list[str]]


def check(announcement: Announcement) -> None:
    """Refuse to tell ranks before everybody may know them."""
    if announcement.tells_ranks and announcement.phase and not _is_out(announcement.phase):
        raise Refused(f"The results of the {announcement.phase.name} are not out: ranks are told after the reveal.")


def _is_out(phase: Phase) -> bool:
    shown = Disclosure.to_public(phase, clock.now())
    return shown.is_revealed and shown.names_teams


def by_team(phase: Phase, to: Iterable[Recipient]) -> Iterator[tuple[Sequence[str], list[Recipient]]]:
    """The people of each team, with a sentence for each track in which it has a rank; none where it has none."""
    everybody = list(to)
    of_teams = _of(phase) if _is_out(phase) else {}
    in_teams = Membership.objects.filter(user__in=[one.user_id for one in everybody])
    team_of = dict(in_teams.values_list("user", "team"))
    groups: dict[int | None, list[Recipient]] = {}
    for one in everybody:
        groups.setdefault(team_of.get(one.user_id), []).append(one)
    for team, some in groups.items():
        yield of_teams.get(team or 0, []), some


def _of(phase: Phase) -> Ranks:
    found: Ranks = {}
    for track in Submission.Track:
        board = read_board(phase, track, clock.now())
        ranked = [row for row in board.rows if row.rank is not None]
        for row in ranked:
            interval = ""
            if row.rank_interval:
                low, high = row.rank_interval
                interval = f" (95 % interval of the rank: {low} to {high})" if low != high else " (in all resamples)"
            words = f"Your team {one_line(row.team.name)} has rank {row.rank} of {len(ranked)}{interval}"
            found.setdefault(row.team.pk, []).append(f"{words} in the track {track.label} of the {phase.name}.")
    return found
