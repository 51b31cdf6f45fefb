"""Re-scoring: all runs of a phase scored anew from their kept masks, beside their numbers, until people decide."""

from django.db import models
from django.db.models import Q

from evaluation import CaseResult
from leaderboard.models.challenge import CaseSet, Phase
from leaderboard.models.runs import Run, RunCase


class Rescoring(models.Model):
    """All runs of a phase scored anew: by another evaluation version, on mended references or categories, or both.

    `versions` name the metrics and the references (CaseSet.evaluation_version). Nothing that anybody reads changes
    before it is applied.
    """

    class State(models.TextChoices):
        UNDECIDED = "undecided", "neither applied nor discarded"
        APPLIED = "applied", "applied"
        DISCARDED = "discarded", "discarded"

    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, related_name="rescorings")
    from_version = models.CharField(max_length=20)
    from_cases = models.ForeignKey(CaseSet, on_delete=models.PROTECT, related_name="+")
    to_version = models.CharField(max_length=20)
    to_cases = models.ForeignKey(CaseSet, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300, help_text="why, as the board tells everybody")
    state = models.CharField(max_length=10, choices=State, default=State.UNDECIDED)
    started_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    changes = models.JSONField(null=True, blank=True, help_text="the preview as it was when it was decided")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["phase"], condition=Q(state="undecided"), name="one_undecided_rescoring_per_phase"
            ),
            models.CheckConstraint(
                condition=Q(state="undecided", decided_at=None) | (~Q(state="undecided") & ~Q(decided_at=None)),
                name="a_decided_rescoring_says_when",
            ),
        ]

    def __str__(self) -> str:
        return f"re-scoring of the {self.phase} by evaluation version {self.to_version}"


class RescoredRun(models.Model):
    """A run within a re-scoring: its new standings, as the fields of their rows, once all its cases are scored.

    They become the run's own when the re-scoring is applied. A run of which masks are missing is not scored.
    """

    rescoring = models.ForeignKey(Rescoring, on_delete=models.CASCADE, related_name="runs", db_index=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+")
    from_version = models.CharField(max_length=20)
    to_measure = models.PositiveIntegerField(help_text="masks that are measured; other cases follow from their result")
    masks_missing = models.PositiveIntegerField(default=0, help_text="those of them that are not kept any more")
    trouble = models.CharField(max_length=300, blank=True, help_text="why it could not be scored the last time")
    retry_at = models.DateTimeField(null=True, blank=True)
    scored_at = models.DateTimeField(null=True, blank=True)
    applied_at = models.DateTimeField(null=True, blank=True)
    standings = models.JSONField(null=True, blank=True)
    findings_changed = models.PositiveIntegerField(default=0)
    dice_changed = models.FloatField(default=0.0, help_text="over all cases: the new one less the old one")

    class Meta:
        ordering = ["run"]
        constraints = [models.UniqueConstraint(fields=["rescoring", "run"], name="a_run_once_per_rescoring")]
        indexes = [
            models.Index(fields=["rescoring", "run"], condition=Q(scored_at=None), name="runs_to_rescore"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} in {self.rescoring_id}"


class RescoredCase(models.Model):
    """The new result of a case of a run; a case without one keeps its result. Gone once it is applied or discarded."""

    rescored = models.ForeignKey(RescoredRun, on_delete=models.CASCADE, related_name="cases", db_index=False)
    run_case = models.ForeignKey(RunCase, on_delete=models.CASCADE, related_name="+")
    result: "models.JSONField[CaseResult, CaseResult]" = models.JSONField()
    reason_code = models.CharField(max_length=40, blank=True)
    mask_digest = models.CharField(max_length=80, null=True, blank=True)  # noqa: DJ001 - as of RunCase
    evaluation_version = models.CharField(max_length=20, blank=True, help_text="as of RunCase")
    scored_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rescored", "run_case"], name="a_case_once_per_rescored_run")]

    def __str__(self) -> str:
        return f"{self.run_case_id} in {self.rescored_id}"
