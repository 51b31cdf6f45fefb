"""What a team is about to hand in: the words of its form, and files that are still coming in."""

import uuid

from django.conf import settings
from django.db import models

from leaderboard.models.challenge import Phase
from leaderboard.models.people import Team
from leaderboard.models.submissions import Submission, WithPdf


class Draft(WithPdf):
    """A submission that is being prepared. It becomes one at Submit or at its file's last byte, whichever is later.

    `words` are the fields of the form as they were typed, whatever they are worth: nothing that somebody wrote is lost.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="drafts")
    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, related_name="drafts")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="drafts"
    )
    words = models.JSONField(default=dict, blank=True)
    source = models.ForeignKey(
        Submission,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="an earlier one of the team, whose image is handed in again without being sent",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(help_text="by the database's clock; forgotten a month later")
    submitted_at = models.DateTimeField(null=True, blank=True, help_text="when Submit was pressed; waits for the file")
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    refusal = models.TextField(blank=True, help_text="why it was not accepted when its last byte was here")

    class Meta:
        ordering = ["-created_at", "pk"]
        indexes = [models.Index(fields=["team", "phase"])]

    def __str__(self) -> str:
        return f"draft of {self.team} for {self.phase}"

    @property
    def upload(self) -> "ResumableUpload | None":
        """The main file of a draft: the archive of its image, or of its masks."""
        return self._part(ResumableUpload.Part.IMAGE)

    @property
    def weights_upload(self) -> "ResumableUpload | None":
        """The archive of weights apart from the image, if one was begun."""
        return self._part(ResumableUpload.Part.WEIGHTS)

    def _part(self, part: str) -> "ResumableUpload | None":
        return next((upload for upload in self.uploads.all() if upload.part == part), None)


class ResumableUpload(models.Model):
    """A file that comes in pieces over any number of connections. Its bytes lie in the store's uploads, under `file`.

    `received` bytes are safe on the disk: there a client goes on. What lies behind them in the file is not known to be
    right, and is written again.
    """

    class Part(models.TextChoices):
        IMAGE = "image", "Image"
        WEIGHTS = "weights", "Weights"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    draft = models.ForeignKey(Draft, on_delete=models.CASCADE, related_name="uploads")
    part = models.CharField(max_length=7, choices=Part, default=Part.IMAGE, db_default=Part.IMAGE)
    name = models.CharField(max_length=200, help_text="the team's name of the file")
    fingerprint = models.CharField(
        max_length=64, blank=True, help_text="by which a browser knows the file when it is chosen again"
    )
    file = models.CharField(max_length=40, unique=True)
    length = models.BigIntegerField()
    received = models.BigIntegerField(default=0)
    digest = models.CharField(max_length=80, blank=True, help_text="of the whole file")
    created_at = models.DateTimeField(auto_now_add=True)
    received_at = models.DateTimeField(help_text="when the last bytes came, or it was begun: decides when it expires")
    completed_at = models.DateTimeField(null=True, blank=True, help_text="when the last byte was here")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(received__lte=models.F("length")), name="no_more_than_announced"),
            models.UniqueConstraint(fields=["draft", "part"], name="each_part_of_a_draft_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.received} of {self.length} bytes"
