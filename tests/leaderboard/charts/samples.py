"""A small picture of each kind, and one of any number of entries, whatever their names."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from leaderboard.charts.distributions import Distribution, distribution_plot
from leaderboard.charts.heat import Category, Team, heat_map
from leaderboard.charts.intervals import Entry, interval_plot
from leaderboard.charts.picture import About, Picture
from leaderboard.charts.podium import PodiumShares, podium
from leaderboard.charts.ranking_lines import RankedTeam, ranking_lines
from leaderboard.charts.significance import TestedTeam, Verdict, significance_map
from leaderboard.charts.sizes import Bin, SizeLine, size_plot
from leaderboard.charts.slope import End, Moving, slope
from leaderboard.charts.stability import RankShares, rank_stability
from leaderboard.charts.standings import Step, TeamLine, ranks_over_time, scores_over_time

NAMES = ("Fissure", "Hilum", "Carina", "Lingula")
OWN = "Lingula"
SCORES = (0.327, 0.320, 0.309, 0.241)
BEGINS, ENDS = datetime(2026, 6, 8, tzinfo=UTC), datetime(2026, 9, 12, 8, 14, tzinfo=UTC)
EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)
CATEGORIES = (
    Category("1a", "Bronchial wall thickening", 22, "Non-focal"),
    Category("1e", "Micronodules", None, "Non-focal"),
    Category("2a", "Linear opacity", 67, "Focal"),
    Category("2d", "Nodules and masses", 73, "Focal"),
)
BINS = (Bin(0, 0.1, None), Bin(0.1, 1, 78), Bin(1, 10, 92), Bin(10, None, 21))
WAYS = ("Dice", "Rank, then mean", "Hit rate")


def score(place: int) -> float:
    """The score of the entry at a place: the later, the lower."""
    return SCORES[place] if place < len(SCORES) else round(0.2 / (place - 2), 4)


def ends(place: int) -> tuple[float, float]:
    return (round(score(place) * 0.9, 4), round(score(place) * 1.1, 4))


def intervals(about: About, names: Sequence[str]) -> Picture:
    entries = [Entry(name, score(at), ends(at), at + 1, is_own=name == OWN) for at, name in enumerate(names)]
    reference = [Entry("SAT, fine-tuned", 0.153, (0.136, 0.170), is_reference=True)] if names else []
    return interval_plot(about, [*entries, *reference])


def heat(about: About, names: Sequence[str]) -> Picture:
    teams = [Team(name, (score(at), None, 0.4, 0.05), name == OWN) for at, name in enumerate(names)]
    return heat_map(about, CATEGORIES, teams, "fewer than 10 findings")


def sizes(about: About, names: Sequence[str]) -> Picture:
    lines = [
        SizeLine(name, (None, score(at) / 2, score(at), 0.5), (None, None, ends(at), None))
        for at, name in enumerate(names[:5])
    ]
    return size_plot(about, BINS, lines, "mL")


def distributions(about: About, names: Sequence[str]) -> Picture:
    entries = [
        Distribution(name, (40, 30, 20, None), 30, score(at), ends(at), name == OWN) for at, name in enumerate(names)
    ]
    return distribution_plot(about, EDGES, entries)


def scores(about: About, names: Sequence[str]) -> Picture:
    return scores_over_time(
        about, [_line(name, (score(at) / 2, score(at)), at) for at, name in enumerate(names)], BEGINS, ENDS
    )


def ranks(about: About, names: Sequence[str]) -> Picture:
    return ranks_over_time(about, [_line(name, (at + 2, at + 1), at) for at, name in enumerate(names)], BEGINS, ENDS)


def _line(name: str, values: Sequence[float], at: int) -> TeamLine:
    steps = [Step(BEGINS + timedelta(days=5 + at % 30 + 30 * place), value) for place, value in enumerate(values)]
    return TeamLine(name, steps, name == OWN)


def stability(about: About, names: Sequence[str]) -> Picture:
    teams = [
        RankShares(name, at + 1, {at + 1: 0.64, at + 2: 0.32, at + 3: 0.04}, at + 1, (at + 1, at + 3), name == OWN)
        for at, name in enumerate(names)
    ]
    return rank_stability(about, teams)


def three_first(about: About, names: Sequence[str]) -> Picture:
    shares = [(0.67, 0.29, 0.04), (0.3, 0.52, 0.18), (0.03, 0.19, 0.75)]
    teams = [PodiumShares(name, shares[at] if at < 3 else (0, 0, 0.003), name == OWN) for at, name in enumerate(names)]
    return podium(about, teams)


def other_ways(about: About, names: Sequence[str]) -> Picture:
    teams = [RankedTeam(name, (at + 1, at + 2 - 2 * (at % 2), at + 1), name == OWN) for at, name in enumerate(names)]
    return ranking_lines(about, WAYS, teams)


def significance(about: About, names: Sequence[str]) -> Picture:
    def verdict(row: int, column: int) -> Verdict | None:
        if row == column:
            return None
        return Verdict.OPEN if abs(row - column) < 2 else Verdict.BETTER if row < column else Verdict.WORSE

    teams = [
        TestedTeam(
            name,
            row + 1,
            [verdict(row, column) for column in range(len(names))],
            [None if row == column else score(row) - score(column) for column in range(len(names))],
            name == OWN,
        )
        for row, name in enumerate(names)
    ]
    return significance_map(about, teams)


def moves(about: About, names: Sequence[str]) -> Picture:
    """The first two change places, the third stays, the last one comes."""
    last = len(names) - 1
    after = [1, 0, *range(2, len(names))][: len(names)] if last else [0] * len(names)
    teams = [
        Moving(name, None if place and place == last else End(place + 1, score(place)), End(to + 1, score(place)))
        for place, (name, to) in enumerate(zip(names, after, strict=True))
    ]
    return slope(about, ("Now", "After"), teams)


KINDS: dict[str, Callable[[About, Sequence[str]], Picture]] = {
    one.__name__: one
    for one in (
        intervals,
        heat,
        sizes,
        distributions,
        scores,
        ranks,
        stability,
        three_first,
        other_ways,
        significance,
        moves,
    )
}


def picture(kind: str, names: Sequence[str] = NAMES, *, name: str = "it", title: str = "What it shows") -> Picture:
    """A picture of this kind."""
    return KINDS[kind](About(name, title), names)
