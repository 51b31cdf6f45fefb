"""The execution and scoring of a submission: runs, their cases and batches, attempts, standings."""

import secrets
import uuid

from django.db import models
from django.db.models import Q

from evaluation import CaseResult, Group, Hint, Summary
from leaderboard.models.challenge import Case
from leaderboard.models.hosts import Host
from leaderboard.models.submissions import Submission
from leaderboard.states import BatchState, RunState


def new_token() -> str:
    """An opaque name: it must tell an image nothing, so it is random and used once."""
    return secrets.token_hex(8)


class Run(models.Model):
    """One execution and scoring of a submission. A re-run is a new run; one that is scored anew gets other numbers."""

    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="runs")
    number = models.PositiveSmallIntegerField()
    token = models.CharField(max_length=32, unique=True, default=new_token, help_text="its name on GPU hosts")
    state = models.CharField(max_length=10, choices=RunState, default=RunState.QUEUED)
    reason_code = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True, help_text="why it ended or waits, in the words shown to the team")
    evaluation_version = models.CharField(max_length=20, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    faults = models.PositiveSmallIntegerField(default=0, help_text="our faults in a row; a reported case resets it")
    retry_at = models.DateTimeField(null=True, blank=True, help_text="when a halted run goes on")
    hints: "models.JSONField[list[Hint] | None, list[Hint] | None]" = models.JSONField(
        null=True, blank=True, help_text="what its masks look like, on public cases; nothing until they were looked at"
    )
    hints_asked_at = models.DateTimeField(
        null=True, blank=True, help_text="when a worker was last told to look at its masks, or began to"
    )
    hints_tries = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="looks at its masks that were begun; after a few it is given up"
    )
    failure_kind = models.CharField(
        max_length=20, blank=True, db_default="", help_text="in which way it failed, decided once, when it does"
    )
    compared_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="when its masks were compared with other teams'"
    )
    put_first_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="when an organiser decided that it starts before all others"
    )
    put_first_why = models.TextField(blank=True, default="", db_default="", editable=False)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["submission", "number"], name="runs_are_numbered"),
            models.CheckConstraint(
                condition=Q(failure_kind="") | Q(state=RunState.FAILED), name="only_failed_runs_have_a_kind_of_failure"
            ),
        ]
        indexes = [
            models.Index(fields=["state"]),
            models.Index(fields=["ended_at"]),
            models.Index(fields=["id"], condition=Q(compared_at=None), name="runs_to_compare"),
        ]

    def __str__(self) -> str:
        return f"run {self.number} of {self.submission}"


class Batch(models.Model):
    """The ordered cases that one container gets. Each attempt at it has a lease and a fencing number."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="batches")
    number = models.PositiveSmallIntegerField()
    is_canary = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=BatchState, default=BatchState.WAITING)
    notified_at = models.DateTimeField(
        null=True, blank=True, db_column="rung_at", help_text="when hosts, or the scorer, were last told of it"
    )

    fence = models.PositiveIntegerField(default=0, help_text="number of the current attempt; older ones are refused")
    host = models.ForeignKey(Host, on_delete=models.PROTECT, null=True, blank=True, related_name="batches")
    lease_until = models.DateTimeField(null=True, blank=True)
    done = models.PositiveSmallIntegerField(default=0, help_text="cases that the current attempt has finished so far")

    class Meta:
        ordering = ["number"]
        verbose_name_plural = "batches"
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="batches_are_numbered"),
            models.CheckConstraint(
                condition=~Q(state=BatchState.LEASED) | Q(host__isnull=False, lease_until__isnull=False),
                name="a_lease_names_its_host",
            ),
        ]
        indexes = [models.Index(fields=["state"])]

    def __str__(self) -> str:
        return f"batch {self.number} of {self.run}"


class Attempt(models.Model):
    """One host's try at a batch: what came of it, for organisers."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="attempts")
    fence = models.PositiveIntegerField()
    host = models.ForeignKey(Host, on_delete=models.PROTECT, related_name="attempts")
    key = models.UUIDField(help_text="the host's name for its claim: a repeated claim gets the same answer")
    slot = models.CharField(max_length=60)
    claimed_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    fault = models.CharField(max_length=40, blank=True, help_text="our fault that ended it, if one did")
    detail = models.TextField(blank=True)
    container = models.JSONField(null=True, blank=True, help_text="exit code, seconds, warnings")
    log = models.TextField(blank=True)
    received: "models.JSONField[dict[str, list[str | int]] | None, dict[str, list[str | int]] | None]" = (
        models.JSONField(null=True, blank=True, help_text="the masks that it uploaded: digest and bytes, by file name")
    )

    class Meta:
        ordering = ["fence"]
        constraints = [models.UniqueConstraint(fields=["batch", "fence"], name="one_attempt_per_fence")]
        indexes = [
            models.Index(fields=["ended_at"]),
            models.Index(fields=["fault"], condition=~Q(fault=""), name="attempts_with_a_fault"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.fence} at {self.batch}"


class RunCase(models.Model):
    """A case within a run, under a name made for this run. `outcome` is what the host reported, `result` the score."""

    class Outcome(models.TextChoices):
        OPEN = "", "not decided"
        FINISHED = "finished", "finished"
        FAILED = "failed", "failed"
        MISSING = "missing", "no mask written"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="cases", db_index=False)  # constraints have one
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="run_cases")
    position = models.PositiveSmallIntegerField(help_text="order within the run, shuffled")
    token = models.CharField(max_length=32, default=new_token, help_text="its opaque name, new for every run")
    batch = models.ForeignKey(Batch, on_delete=models.SET_NULL, null=True, blank=True, related_name="cases")

    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.OPEN, blank=True)
    reason_code = models.CharField(max_length=40, blank=True)
    seconds = models.FloatField(null=True, blank=True)
    output = models.CharField(max_length=80, blank=True, help_text="digest of the mask")
    output_bytes = models.BigIntegerField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(
        default=0, help_text="more than one: an earlier attempt failed by our fault"
    )
    result: "models.JSONField[CaseResult | None, CaseResult | None]" = models.JSONField(
        null=True, blank=True, help_text="the case as in the evaluation's native JSON"
    )
    evaluation_version = models.CharField(max_length=20, blank=True, help_text="which evaluation made the result")
    scored_at = models.DateTimeField(null=True, blank=True)
    # What its mask holds; empty: nothing. None: it was scored by code of before, or not at all.
    mask_digest = models.CharField(max_length=80, null=True, blank=True, editable=False)  # noqa: DJ001

    class Meta:
        ordering = ["position"]
        indexes = [
            models.Index(
                fields=["mask_digest", "case", "id"], condition=Q(mask_digest__gt=""), name="cases_by_their_mask"
            ),
            models.Index(fields=["run", "decided_at"], name="decided_cases_of_a_run"),
            models.Index(
                fields=["decided_at"], condition=Q(outcome="finished", result__isnull=True), name="cases_to_be_scored"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["run", "case"], name="a_case_once_per_run"),
            models.UniqueConstraint(fields=["run", "token"], name="one_case_per_token"),
            models.CheckConstraint(
                condition=Q(outcome="finished") | Q(output=""), name="only_finished_cases_have_a_mask"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.case.name} in {self.run}"

    @property
    def file_name(self) -> str:
        """The file name under which an image sees this case."""
        return f"{self.token}.nii.gz"


class Standing(models.Model):
    """A run's aggregated numbers over one scope of its cases, as the evaluation's `summary` and `groups`."""

    class Scope(models.TextChoices):
        ALL = "all", "all cases"
        HALF = "half", "the public half"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="standings")
    scope = models.CharField(max_length=4, choices=Scope)
    evaluation_version = models.CharField(max_length=20)
    dice = models.FloatField(help_text="the ranking metric, unrounded")
    cases = models.PositiveSmallIntegerField()
    lost_cases = models.PositiveSmallIntegerField(help_text="failed, missing or invalid: Dice 0")
    summary: "models.JSONField[Summary, Summary]" = models.JSONField()
    groups: "models.JSONField[dict[str, Group], dict[str, Group]]" = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "scope"], name="one_standing_per_scope")]
        indexes = [
            # What boards ask of all standings, whose rows are long.
            models.Index(
                fields=["scope", "run"],
                include=["id", "evaluation_version", "dice", "cases", "lost_cases"],
                name="standings_of_boards",
            )
        ]

    def __str__(self) -> str:
        return f"{self.scope} standing of {self.run}"


class RunScores(models.Model):
    """The scores of all findings of a run by one evaluation version, as one array (leaderboard/scores/arrays.py).

    `cases` and `findings` are little-endian bytes, which `layout` says how to read (leaderboard/scores/layout.py).
    Nothing of a person or a team is in it; it is kept as long as the run, whatever becomes of masks and images.
    """

    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="scores", db_index=False
    )  # the constraint has one
    evaluation_version = models.CharField(max_length=20)
    layout = models.PositiveSmallIntegerField()
    digest = models.CharField(max_length=64, help_text="sha256 of its cases and findings: which arrays fit each other")
    cases = models.BinaryField()
    findings = models.BinaryField()

    class Meta:
        verbose_name_plural = "run scores"
        constraints = [
            models.UniqueConstraint(fields=["run", "evaluation_version"], name="one_array_per_evaluation_version")
        ]

    def __str__(self) -> str:
        return f"scores of run {self.run_id}, evaluation version {self.evaluation_version}"
