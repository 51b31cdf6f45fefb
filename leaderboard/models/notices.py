"""What people are told of by mail: which kinds they do without, what is still to be told, what was announced."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from leaderboard.models.challenge import Phase
from leaderboard.models.history import StateChange


class NoticeKind(models.TextChoices):
    """What notices are about; each kind can be stopped by itself. Messages about an account are of no kind."""

    RUNS = "runs", "Runs that have ended"
    TRY_OUTS = "try_outs", "Try-outs that have ended"
    DEADLINES = "deadlines", "Deadlines"
    ANNOUNCEMENTS = "announcements", "Announcements"


class NoticeStop(models.Model):
    """That a person gets no notices of a kind. Without a row they do."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notice_stops")
    kind = models.CharField(max_length=20, choices=NoticeKind)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "kind"], name="a_kind_is_stopped_once")]

    def __str__(self) -> str:
        return f"no {self.kind} for user {self.user_id}"


class PendingNotice(models.Model):
    """A change of state of which a team is to be told: written with it, gone when its notices are in the outbox."""

    change = models.OneToOneField(StateChange, on_delete=models.CASCADE, primary_key=True, related_name="+")

    def __str__(self) -> str:
        return f"notice of change {self.pk}"


class ToldDeadline(models.Model):
    """Which deadline of a phase teams know, and which reminders of it they got."""

    phase = models.OneToOneField(Phase, on_delete=models.CASCADE, primary_key=True, related_name="+")
    closes_at = models.DateTimeField()
    since = models.DateTimeField(help_text="since when it is known; reminders that were due before are left out")
    week_at = models.DateTimeField(null=True, blank=True, help_text="when they were told that it is a week ahead")
    day_at = models.DateTimeField(null=True, blank=True, help_text="the same of a day")

    def __str__(self) -> str:
        return f"deadline of phase {self.phase_id}"


class Announcement(models.Model):
    """What organisers tell by mail: a draft until it is sent, and never changed after."""

    class Audience(models.TextChoices):
        """To whom."""

        ALL = "all", "everybody with an account"
        TEAMS = "teams", "members of the teams that handed in to the phase"

    subject = models.CharField(max_length=150)
    body = models.TextField(
        "text",
        max_length=10_000,
        help_text="Plain text; an empty line begins a paragraph. “Words: https://address” as a paragraph of its own "
        "becomes a button.",
    )
    audience = models.CharField(max_length=8, choices=Audience, default=Audience.ALL)
    phase = models.ForeignKey(
        Phase, on_delete=models.PROTECT, null=True, blank=True, related_name="announcements", help_text="Whose teams."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)
    recipients = models.PositiveIntegerField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(audience="all", phase=None) | Q(audience="teams", phase__isnull=False),
                name="an_announcement_to_teams_names_their_phase",
            )
        ]

    def __str__(self) -> str:
        return self.subject

    def clean(self) -> None:
        """Say what an organiser should change before the database has to refuse it."""
        if self.audience == self.Audience.TEAMS and self.phase is None:
            raise ValidationError({"phase": "Choose the phase whose teams are told."})
        if self.audience == self.Audience.ALL and self.phase is not None:
            raise ValidationError({"phase": "Everybody is told, whatever the phase: leave it empty."})
