"""What happens between people about a team: invitations, a captaincy that is handed over, approvals by organisers."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower

from leaderboard.models.challenge import Phase
from leaderboard.models.people import Team


class Invitation(models.Model):
    """That somebody with an email address may join a team. The link in the message is the only copy of its token."""

    class State(models.TextChoices):
        OPEN = "open", "open"
        ACCEPTED = "accepted", "accepted"
        DECLINED = "declined", "declined"
        REVOKED = "revoked", "withdrawn"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField("to")
    token_hash = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(help_text="when the last message with a link was written")
    sends = models.PositiveSmallIntegerField(default=1)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["created_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                "team", Lower("email"), condition=models.Q(state="open"), name="one_open_invitation_per_address"
            ),
            models.CheckConstraint(
                condition=models.Q(state="open", ended_at=None) | ~models.Q(state="open") & ~models.Q(ended_at=None),
                name="an_invitation_ends_once",
            ),
        ]

    def __str__(self) -> str:
        return f"invitation {self.pk} to {self.team}"


class Handover(models.Model):
    """That a team's captain offers the captaincy to a member. The row goes when it is accepted, declined or undone."""

    team = models.OneToOneField(Team, on_delete=models.CASCADE, related_name="handover")
    offered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    to = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    offered_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"handing over of {self.team}"


class TeamApproval(models.Model):
    """What organisers say to a team that wants to take part in a phase for which they approve teams."""

    class State(models.TextChoices):
        WAITING = "waiting", "waits for the organisers"
        APPROVED = "approved", "approved"
        REFUSED = "refused", "not approved"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="approvals")
    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, related_name="approvals")
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    asked_at = models.DateTimeField()
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True, help_text="which the team reads")

    class Meta:
        ordering = ["-asked_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["team", "phase"], name="one_approval_per_phase"),
            models.CheckConstraint(
                condition=models.Q(state="waiting", decided_at=None)
                | ~models.Q(state="waiting") & ~models.Q(decided_at=None),
                name="an_approval_is_decided_at_an_instant",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.team} in the {self.phase}"
