"""Reference rows: published results and baselines of organisers that a board shows apart, without a rank."""

from django.db import models

from leaderboard.models.challenge import Phase


class ReferenceRow(models.Model):
    """One algorithm's published numbers on the boards of a phase. Organisers' words: read as they are, never ranked.

    `numbers` are as challenge/reference_rows.Numbers describes them, by group of findings ("all" among them). What its
    source does not give is empty.
    """

    class Prompt(models.TextChoices):
        TEXT = "text", "text"
        BOX = "box", "boxes"

    class Training(models.TextChoices):
        ZERO_SHOT = "zero-shot", "zero-shot"
        FINE_TUNED = "fine-tuned", "fine-tuned"

    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, related_name="reference_rows")
    table = models.SlugField(max_length=60, help_text="Names the published table, or “baselines”: imported as one.")
    algorithm = models.CharField(max_length=120)
    institution = models.CharField(max_length=200, blank=True)
    prompt = models.CharField("prompted with", max_length=4, choices=Prompt, blank=True)
    training = models.CharField(max_length=10, choices=Training, blank=True)
    not_comparable = models.CharField(
        "what makes it not comparable", max_length=300, help_text="A sentence; it stands in the row."
    )
    link = models.URLField("paper or code", blank=True)
    published_on = models.DateField(null=True, blank=True)
    source = models.CharField(max_length=300, help_text="Where its numbers are from.")
    source_link = models.URLField("address of the source", blank=True)
    source_date = models.DateField("date of the source", null=True, blank=True)
    cases = models.PositiveIntegerField(null=True, blank=True, help_text="over which its numbers are")
    findings = models.PositiveIntegerField(null=True, blank=True)
    numbers = models.JSONField()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["phase", "table", "algorithm", "prompt", "training"], name="one_reference_row_per_algorithm"
            ),
            models.CheckConstraint(
                condition=~models.Q(not_comparable=""), name="a_reference_row_says_why_it_is_not_comparable"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.table}: {self.name}"

    @property
    def name(self) -> str:
        """The algorithm, and which of its variants it is."""
        prompted = f"{self.get_prompt_display()} as prompts" if self.prompt == self.Prompt.BOX else ""
        return ", ".join(filter(None, (self.algorithm, prompted, self.get_training_display())))
