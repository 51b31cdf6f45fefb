"""The history of every change of state."""

from django.db import models

from leaderboard.models.runs import Batch, Run
from leaderboard.models.submissions import Submission


class StateChange(models.Model):
    """Who moved what from where to where, when, and why. Written by lifecycle.move() and never changed."""

    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="history")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, null=True, blank=True, related_name="history")
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, null=True, blank=True, related_name="history")
    from_state = models.CharField(max_length=10)
    to_state = models.CharField(max_length=10)
    at = models.DateTimeField()
    by = models.CharField(max_length=80, help_text="a person, a host, or the server")
    why = models.TextField(blank=True)

    class Meta:
        ordering = ["pk"]  # and not by the clock, which may be set back

    def __str__(self) -> str:
        return f"{self.from_state} -> {self.to_state}"
