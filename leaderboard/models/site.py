"""What organisers tell on the site, as rows: news, questions and answers, dates; and who wants to hear of the start."""

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

PUBLISHED = "From this instant it is public. Empty: a draft, which only organisers see."
MARKDOWN = (
    "Markdown: headings, lists, tables, links. A link to a page of this site begins with “/”, as /guidelines/. No HTML."
)


class NewsItem(models.Model):
    """A piece of news. `key` names it for readers of feeds, whatever becomes of its title and address."""

    key = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    title = models.CharField(max_length=120)
    slug = models.SlugField(max_length=80, unique=True, help_text="Its address. Links break when it changes.")
    body = models.TextField("text", max_length=20_000, help_text=MARKDOWN)
    published_at = models.DateTimeField("published at (UTC)", null=True, blank=True, help_text=PUBLISHED)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-published_at", "-pk"]
        verbose_name = "news item"
        indexes = [models.Index(fields=["-published_at", "-id"], name="news_newest_first")]

    def __str__(self) -> str:
        return self.title


class FaqSection(models.Model):
    """A heading of the page of questions."""

    name = models.CharField(max_length=80, unique=True)
    order = models.SmallIntegerField(default=0, help_text="Sections with a smaller number stand first.")

    class Meta:
        ordering = ["order", "pk"]
        verbose_name = "section of questions"
        verbose_name_plural = "sections of questions"

    def __str__(self) -> str:
        return self.name


class Question(models.Model):
    """A question that people ask, and its answer."""

    section = models.ForeignKey(FaqSection, on_delete=models.PROTECT, related_name="questions")
    question = models.CharField(max_length=200)
    slug = models.SlugField(max_length=80, unique=True, help_text="Its address. Links break when it changes.")
    answer = models.TextField(max_length=20_000, help_text=MARKDOWN)
    order = models.SmallIntegerField(default=0, help_text="Within its section, smaller numbers stand first.")
    published_at = models.DateTimeField("published at (UTC)", null=True, blank=True, help_text=PUBLISHED)

    class Meta:
        ordering = ["section__order", "section", "order", "pk"]

    def __str__(self) -> str:
        return self.question


class ChallengeDate(models.Model):
    """A line of the home page's dates: an instant, a day, or an instant of a phase, which moves with the phase.

    The opening and the closing of each phase have lines without a row; a row about one of them says it otherwise, or
    hides it.
    """

    class Moment(models.TextChoices):
        """Which instant of a phase."""

        OPENS = "opens_at", "opens"
        CLOSES = "closes_at", "closes"
        REVEALED = "revealed_at", "is revealed"
        POST_CHALLENGE_OPENS = "post_challenge_opens_at", "takes post-challenge runs"
        POST_CHALLENGE_CLOSES = "post_challenge_closes_at", "takes no more post-challenge runs"

    label = models.CharField(
        max_length=120, blank=True, help_text="What happens. For an instant of a phase it may be empty."
    )
    at = models.DateTimeField("instant (UTC)", null=True, blank=True)
    day = models.DateField(null=True, blank=True, help_text="Instead of an instant: it is over when the day is (UTC).")
    phase = models.ForeignKey(
        "Phase", on_delete=models.CASCADE, null=True, blank=True, related_name="dates", help_text="Instead of both."
    )
    moment = models.CharField("instant of the phase", max_length=30, choices=Moment, blank=True)
    words = models.CharField(
        max_length=60,
        blank=True,
        help_text="Shown in place of the date where it is only known about, as “spring 2026”: the date above then says "
        "where it stands. Such a line is not in the calendar.",
    )
    order = models.SmallIntegerField(default=0, help_text="Among lines of the same instant, smaller ones stand first.")
    is_shown = models.BooleanField("shown", default=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["at", "day", "order", "pk"]
        verbose_name = "date"
        constraints = [
            models.CheckConstraint(
                condition=Q(at__isnull=False, day=None, phase=None, moment="")
                | Q(at=None, day__isnull=False, phase=None, moment="")
                | Q(at=None, day=None, phase__isnull=False) & ~Q(moment=""),
                name="a_date_is_an_instant_a_day_or_a_phases",
                violation_error_message="Give an instant, or a day, or a phase with one of its instants.",
            ),
            models.CheckConstraint(
                condition=~Q(label="") | Q(phase__isnull=False),
                name="a_date_says_what_happens",
                violation_error_message="Say what happens then.",
            ),
            models.UniqueConstraint(
                fields=["phase", "moment"],
                condition=Q(phase__isnull=False),
                name="one_date_per_instant_of_a_phase",
                violation_error_message="There is a line about this instant of the phase already.",
            ),
        ]

    def __str__(self) -> str:
        return self.label or f"{self.phase} {self.get_moment_display()}"


class Registration(models.Model):
    """When people may begin to register. There is one row."""

    opens_at = models.DateTimeField(
        "opens at (UTC)",
        null=True,
        blank=True,
        help_text="Before it nobody can register; whoever pre-registered is told then, once. Empty: registration is "
        "open.",
    )

    class Meta:
        verbose_name_plural = "registration"
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="there_is_one_registration")]

    def __str__(self) -> str:
        return "registration"


class PreRegistration(models.Model):
    """An address that wants to be told when registration opens. It goes at once when its owner says so."""

    email = models.EmailField(max_length=254)
    # In the links of messages: whoever has it can confirm the address, and take it off.
    link_key = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    asked_at = models.DateTimeField(help_text="when the form was last sent")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True, help_text="when the message about the opening was written")

    class Meta:
        verbose_name = "pre-registration"
        constraints = [
            models.UniqueConstraint(Lower("email"), name="one_pre_registration_per_email"),
            models.CheckConstraint(
                condition=Q(told_at=None) | Q(confirmed_at__isnull=False), name="only_who_confirmed_is_told"
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(confirmed_at__isnull=False, told_at=None), name="waits_to_be_told")
        ]

    def __str__(self) -> str:
        return f"pre-registration {self.pk}"
