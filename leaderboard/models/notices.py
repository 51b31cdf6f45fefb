"""What people are told of by mail: which kinds they do without, what is still to be told, what was announced."""

from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from leaderboard.models.challenge import Phase
from leaderboard.models.history import StateChange
from leaderboard.models.people import Team


class NoticeKind(models.TextChoices):
    """What notices are about; each kind can be stopped by itself. Messages about an account are of no kind."""

    RUNS = "runs", "Runs that have ended"
    TRY_OUTS = "try_outs", "Try-outs that have ended"
    DEADLINES = "deadlines", "Deadlines"
    PHASES = "phases", "Phases that open, and results that are out"
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
    opened_at = models.DateTimeField(null=True, blank=True, help_text="when they were told that the phase has opened")
    revealed_at = models.DateTimeField(null=True, blank=True, help_text="when they were told that the results are out")

    def __str__(self) -> str:
        return f"deadline of phase {self.phase_id}"


class Announcement(models.Model):
    """What organisers tell, by mail, as a line on every page, or both: a draft until it is announced, then unchanged.

    `occasion` and `of_phase` say what it is about, where it began as a template: so the desk knows what is told of.
    """

    class Audience(models.TextChoices):
        """To whom."""

        ALL = "all", "everybody with an account"
        TEAMS = "teams", "members of the teams that handed in to the phase"
        TEAM = "team", "members of one team"
        AFFECTED = "affected", "members of the teams whose runs were interrupted by our fault in a time"

    class Occasion(models.TextChoices):
        """What a template is for."""

        OPENING = "opening", "a phase opens"
        DEADLINE = "deadline", "a deadline was moved"
        REVEAL = "reveal", "results are out"
        POST_CHALLENGE = "after", "post-challenge runs are taken"

    class Level(models.TextChoices):
        """How a line on the pages looks."""

        INFO = "idle", "Information"
        WARNING = "warn", "Something is disturbed"
        TROUBLE = "bad", "Something does not work"

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
    team = models.ForeignKey(
        Team, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", help_text="Which one."
    )
    affected_from = models.DateTimeField("interrupted from (UTC)", null=True, blank=True)
    affected_until = models.DateTimeField("interrupted until (UTC)", null=True, blank=True)
    by_mail = models.BooleanField("by mail", default=True, db_default=True)
    on_site = models.BooleanField(
        "a line on every page",
        default=False,
        db_default=False,
        help_text="Its subject stands there, for everybody to read.",
    )
    level = models.CharField("the line’s look", max_length=4, choices=Level, default=Level.INFO, db_default=Level.INFO)
    shown_until = models.DateTimeField(
        "the line stands until (UTC)", null=True, blank=True, help_text="Empty: until somebody takes it down."
    )
    occasion = models.CharField(max_length=8, choices=Occasion, blank=True, default="", db_default="")
    of_phase = models.ForeignKey(Phase, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="when it is to be sent by itself")
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)
    cancelled_at = models.DateTimeField(null=True, blank=True, editable=False)
    recipients = models.PositiveIntegerField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(audience="teams") | Q(phase__isnull=False),
                name="an_announcement_to_teams_of_a_phase_names_it",
            ),
            models.CheckConstraint(
                condition=~Q(audience="affected") | Q(affected_from__isnull=False, affected_until__isnull=False),
                name="an_announcement_to_the_affected_names_a_time",
            ),
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(sent_at=None), name="announcements_to_send")]

    def __str__(self) -> str:
        return self.subject

    @property
    def is_draft(self) -> bool:
        """Whether it may be changed still."""
        return self.sent_at is None and self.due_at is None and self.cancelled_at is None

    @property
    def tells_ranks(self) -> bool:
        """Whether each team is told its own ranks below the text."""
        return self.occasion == self.Occasion.REVEAL and self.audience == self.Audience.TEAMS

    def clean(self) -> None:
        """Say what an organiser should change before the database has to refuse it."""
        if self.audience == self.Audience.TEAMS and self.phase is None:
            raise ValidationError({"phase": "Choose the phase whose teams are told."})
        if self.audience == self.Audience.ALL and self.phase is not None:
            raise ValidationError({"phase": "Everybody is told, whatever the phase: leave it empty."})
        if self.audience == self.Audience.TEAM and self.team is None:
            raise ValidationError({"team": "Choose the team that is told."})
        if self.audience == self.Audience.AFFECTED:
            _check_time(self.affected_from, self.affected_until)
        if not (self.by_mail or self.on_site):
            raise ValidationError({"by_mail": "Choose a mail, a line on every page, or both."})
        if self.on_site and self.audience != self.Audience.ALL:
            raise ValidationError({"on_site": "A line stands there for everybody: choose everybody, or no line."})


def _check_time(since: datetime | None, until: datetime | None) -> None:
    if since is None or until is None or since >= until:
        raise ValidationError({"affected_from": "Give a time: from when until when runs were interrupted."})


class SiteLine(models.Model):
    """A line on every page from an instant on: of an announcement, or of a disturbance that the server found itself."""

    text = models.CharField(max_length=200)
    level = models.CharField(max_length=4, choices=Announcement.Level, default=Announcement.Level.INFO)
    announcement = models.ForeignKey(
        Announcement, on_delete=models.CASCADE, null=True, blank=True, related_name="lines"
    )
    check_name = models.CharField(
        max_length=20, blank=True, help_text="of the health page, where the server put it up; empty: people did"
    )
    shown_from = models.DateTimeField()
    shown_until = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True, help_text="when it was taken down")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["check_name"],
                condition=Q(ended_at=None) & ~Q(check_name=""),
                name="a_disturbance_is_told_once",
            )
        ]
        indexes = [models.Index(fields=["shown_from"], condition=Q(ended_at=None), name="lines_that_stand")]

    def __str__(self) -> str:
        return self.text
