"""Boards as they are published: a version is made when something changed, never altered, and only read from then on."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from leaderboard.models.challenge import Phase
from leaderboard.models.people import Team
from leaderboard.models.runs import Standing
from leaderboard.models.submissions import Submission


class BoardRow(models.Model):
    """What a board shows of one run, shared by all versions in which nothing of it changed.

    `shown` is what a row of the table says, `opened` what an opened row and pictures say on top, both with numbers as
    they are shown. `numbers` are those by which boards are ranked, sorted and drawn: of each group of findings that is
    shown [Dice, how far its interval reaches, hit rate, instance F1, distance F1].
    """

    basis = models.CharField(max_length=64, unique=True, help_text="sha256 of what it was made of")
    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="+")
    accepted_at = models.DateTimeField()
    name = models.TextField(help_text="its team's, as it is sorted by")
    numbers: "models.JSONField[dict[str, list[float | None]], dict[str, list[float | None]]]" = models.JSONField()
    shown = models.JSONField()
    opened = models.JSONField()

    def __str__(self) -> str:
        return f"row of {self.submission_id}"


class TeamAlias(models.Model):
    """The number by which boards of a phase name a team while they do not say who it is; drawn at random, once."""

    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, related_name="+")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    number = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["phase", "team"], name="one_alias_of_a_team_per_phase"),
            models.UniqueConstraint(fields=["phase", "number"], name="one_team_per_alias_of_a_phase"),
        ]

    def __str__(self) -> str:
        return f"Team {self.number}"


class BoardVersion(models.Model):
    """The board of a phase and track as the public may see it from an instant on, until the next version's.

    `rows` are the keys of its rows: those of the ranked list, then masks that stand apart, then post-challenge runs, of
    each list the best first. `ranks` has the ranks of the first ones, None for what organisers' own teams handed in;
    `runs` how many runs of its kind the team of each row has had in the phase. `scope` is empty where nothing is
    published.
    """

    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, related_name="board_versions")
    track = models.CharField(max_length=8, choices=Submission.Track)
    number = models.PositiveIntegerField(help_text="counts the versions of this phase and track")
    made_at = models.DateTimeField(help_text="not told: on hidden cases it is when a run had ended")
    visible_from = models.DateTimeField()
    runs_until = models.DateTimeField(help_text="runs that ended from then on are not in it; not told")
    evaluation_version = models.CharField(max_length=20)
    scope = models.CharField(max_length=4, choices=Standing.Scope, blank=True)
    is_revealed = models.BooleanField(help_text="whether numbers are exact, and groups of any size shown")
    rules = models.JSONField(help_text="the rules of the phase by which it was made")
    cases = models.PositiveIntegerField(help_text="that feed its numbers")
    cases_total = models.PositiveIntegerField(help_text="of the case set")
    last_end_at = models.DateTimeField(null=True, help_text="when the last of its runs ended, as it is shown")
    shown_groups = models.JSONField(help_text="the groups of findings by which it can be read")
    reach = models.FloatField(help_text="how far the intervals of its rows reach")
    rows = ArrayField(models.BigIntegerField())
    ranks = ArrayField(models.PositiveIntegerField(null=True))
    masks_count = models.PositiveIntegerField(help_text="how many of the rows are masks that stand apart")
    runs = ArrayField(models.PositiveIntegerField())
    runs_listed = models.PositiveIntegerField(
        null=True, help_text="how many ListedRuns; None: made before there were any"
    )
    changes = models.JSONField(help_text="what is new in it (board.changes)")
    digest = models.CharField(max_length=64, help_text="sha256 of all that it says")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["phase", "track", "number"], name="one_version_of_a_board_per_number")
        ]
        indexes = [models.Index(fields=["phase", "track", "-visible_from"], name="versions_of_boards")]

    def __str__(self) -> str:
        return f"version {self.number} of the board of {self.phase_id}, {self.track}"


class BoardCertainty(models.Model):
    """How sure the order of a version is, made with it; of those of its rows that hold a rank, in their order.

    `lows` and `highs` are the ends of each one's 95 % interval of ranks, empty where there are none;
    `tied_with_the_top` says whether it is first, or can't be told from one that is. The rest is in `packed`
    (`leaderboard.board.order`).
    """

    version = models.OneToOneField(BoardVersion, on_delete=models.CASCADE, primary_key=True, related_name="certainty")
    lows = ArrayField(models.PositiveIntegerField())
    highs = ArrayField(models.PositiveIntegerField())
    tied_with_the_top = ArrayField(models.BooleanField())
    packed = models.BinaryField()

    def __str__(self) -> str:
        return f"certainty of {self.version}"


class ListedRun(models.Model):
    """A run as a board lists it among all its runs: from one of its versions on, and until another one, if it ended.

    `shown` is what a row of the table says, as in BoardRow.
    """

    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, related_name="+", db_index=False)
    track = models.CharField(max_length=8, choices=Submission.Track)
    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=60, help_text="of what it was made: the same of the same")
    accepted_at = models.DateTimeField()
    name = models.TextField(help_text="its team's, as it is sorted by")
    dice = models.FloatField(help_text="as it is shown, by which it is sorted")
    shown = models.JSONField()
    from_number = models.PositiveIntegerField(help_text="the first version that lists it")
    to_number = models.PositiveIntegerField(null=True, help_text="the first one that does not any more")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["phase", "track", "key"], condition=models.Q(to_number=None), name="a_run_is_listed_once"
            )
        ]
        indexes = [
            # Of ten thousand runs a page shows a few: these are found, in their order, without the others' long rows.
            models.Index(
                fields=["phase", "track"],
                include=["id", "from_number", "to_number", "dice", "accepted_at", "submission", "name"],
                name="runs_of_versions",
            )
        ]

    def __str__(self) -> str:
        return f"run of {self.submission_id}, listed from version {self.from_number}"
