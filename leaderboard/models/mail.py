"""What the site writes to people: each message is a row before it is sent, and for a while after."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower


class OutgoingMail(models.Model):
    """A message to one address. What it says may be a link as good as a password: it goes when the message ends."""

    class State(models.TextChoices):
        """How far it is."""

        WAITING = "waiting", "waits"
        SENT = "sent", "sent"
        GIVEN_UP = "given_up", "given up"

    kind = models.CharField(
        max_length=20, blank=True, db_default="", help_text="of a notice that people can do without; empty: none"
    )
    unsubscribe = models.CharField(
        max_length=500, blank=True, db_default="", help_text="where such notices are stopped by one click"
    )
    announcement = models.ForeignKey(
        "Announcement", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="mails"
    )
    to = models.CharField(max_length=320)
    sender = models.CharField(max_length=320)
    subject = models.CharField(max_length=500)
    body = models.TextField(blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    created_at = models.DateTimeField()
    true_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="from then on it is not sent any more: what it says would be no use, or not true",
    )
    due_at = models.DateTimeField(help_text="when it is tried, or tried again")
    ended_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    answer = models.CharField(max_length=300, blank=True, help_text="what kept the last try from sending it")
    is_refused = models.BooleanField(
        default=False, help_text="the mail server answered, and did not want this very message"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="waiting", ended_at=None) | Q(body="", ended_at__isnull=False) & ~Q(state="waiting"),
                name="a_mail_that_ended_says_nothing",
            )
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(state="waiting"), name="waiting_mails")]

    def __str__(self) -> str:
        return f"mail {self.pk}"


class RefusedAddress(models.Model):
    """An address that a mail server refused for good: it gets no notices until a link that was sent there is opened."""

    email = models.CharField(max_length=320)
    refused_at = models.DateTimeField()
    answer = models.CharField(max_length=300, blank=True, help_text="what the mail server said")

    class Meta:
        verbose_name_plural = "refused addresses"
        constraints = [models.UniqueConstraint(Lower("email"), name="an_address_is_refused_once")]

    def __str__(self) -> str:
        return f"refused address {self.pk}"

    def clean(self) -> None:
        """As addresses are compared."""
        self.email = self.email.lower()
