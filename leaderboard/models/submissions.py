"""What a team hands in: a submission, and the algorithm image that it turns out to hold."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from leaderboard.models.challenge import Phase
from leaderboard.models.people import Team
from leaderboard.states import RunState, Stage, SubmissionKind, SubmissionState

if TYPE_CHECKING:
    from leaderboard.models.runs import Run


class AlgorithmImage(models.Model):
    """A validated image, content-addressed. Two teams that submit the same image share the row, and nothing else."""

    image_id = models.CharField(max_length=80, unique=True, help_text="sha256 of the rebuilt image configuration")
    archive = models.CharField(max_length=80, help_text="digest of the rebuilt archive, as GPU hosts fetch it")
    archive_bytes = models.BigIntegerField()
    unpacked_bytes = models.BigIntegerField()
    layers = models.PositiveSmallIntegerField()
    warnings = models.JSONField(default=list, blank=True)
    config = models.JSONField(default=dict, blank=True, help_text="entrypoint, user, labels: for organisers")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.image_id[:19]


class Weights(models.Model):
    """Checked weights, content-addressed. Two teams that send the same files share the row, and nothing else."""

    archive = models.CharField(max_length=80, unique=True, help_text="digest of the rebuilt archive, as hosts fetch it")
    archive_bytes = models.BigIntegerField()
    unpacked_bytes = models.BigIntegerField()
    files = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "weights"

    def __str__(self) -> str:
        return self.archive[:19]


class WithPdf(models.Model):
    """Has a PDF about the method, where its phase asks for one: in the store of PDFs, under its digest."""

    pdf = models.CharField("PDF", max_length=80, blank=True, db_default="", help_text="digest of the file")
    pdf_name = models.CharField("name of the PDF", max_length=200, blank=True, db_default="")
    pdf_bytes = models.PositiveIntegerField("bytes of the PDF", default=0, db_default=0)

    class Meta:
        abstract = True


class Submission(WithPdf):
    """A team's entry into a phase: an image or masks, a track, a method, and the external data it declares."""

    class Track(models.TextChoices):
        MAIN = "main", "Main"
        OVERALL = "overall", "Overall"

    class Entry(models.TextChoices):
        IMAGE = "image", "Image"
        MASKS = "masks", "Masks"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="submissions")
    phase = models.ForeignKey(Phase, on_delete=models.PROTECT, related_name="submissions")
    kind = models.CharField(
        max_length=14, choices=SubmissionKind, default=SubmissionKind.SCORED, db_default=SubmissionKind.SCORED
    )
    cases_of = models.ForeignKey(
        Phase,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="tried_out_on",
        help_text="the phase on whose public cases a try-out runs; none of others, which run on their own phase's",
    )
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="submissions"
    )
    shows_submitter = models.BooleanField(
        default=False, db_default=False, help_text="its team was told that boards name who submitted it"
    )
    entry = models.CharField(
        max_length=5,
        choices=Entry,
        default=Entry.IMAGE,
        db_default="image",
        help_text="what was handed in: an image that we run, or the masks themselves",
    )
    track = models.CharField(max_length=7, choices=Track, default=Track.MAIN)
    algorithm = models.CharField("name on the board", max_length=40)
    method = models.TextField(help_text="Markdown, public with the results")
    external_data = models.TextField(help_text="every external source, or “none”")
    paper_url = models.URLField(blank=True)
    code_url = models.URLField(blank=True)
    commitment = models.TextField(
        blank=True, db_default="", help_text="the text that who submitted committed the team to; empty: none"
    )
    committed_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(
        max_length=500, blank=True, db_default="", help_text="the team's own words, which nobody else reads"
    )

    state = models.CharField(max_length=10, choices=SubmissionState, default=SubmissionState.RECEIVED)
    reason_code = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True, help_text="why it was rejected, in the words shown to the team")
    upload = models.CharField(max_length=80, help_text="digest of the file as uploaded")
    upload_file = models.CharField(max_length=40, help_text="its file's name here, until it is checked")
    upload_name = models.CharField(max_length=200)
    upload_bytes = models.BigIntegerField()
    ticket = models.CharField(
        max_length=40, blank=True, db_default="", help_text="sent again with the same one, it is this submission"
    )
    image = models.ForeignKey(
        AlgorithmImage, on_delete=models.PROTECT, null=True, blank=True, related_name="submissions"
    )

    weights = models.ForeignKey(Weights, on_delete=models.PROTECT, null=True, blank=True, related_name="submissions")
    weights_upload = models.CharField(
        max_length=80, blank=True, db_default="", help_text="digest of the archive of weights as uploaded, if one came"
    )
    weights_file = models.CharField(
        max_length=40, blank=True, db_default="", help_text="its file's name here, until it is checked"
    )
    weights_name = models.CharField(max_length=200, blank=True, db_default="")
    weights_bytes = models.BigIntegerField(default=0, db_default=0)

    accepted_at = models.DateTimeField(help_text="when the upload was complete: decides the deadline")
    quota_day = models.DateField(help_text="UTC day of acceptance, by the database's clock")
    charged = models.BooleanField(default=True, help_text="counts against the team's runs per day and in total")
    notified_at = models.DateTimeField(
        null=True, blank=True, db_column="rung_at", help_text="when a worker was last told to check it"
    )
    failures = models.PositiveSmallIntegerField(default=0, help_text="how often we, not the team, failed to check it")
    retry_at = models.DateTimeField(null=True, blank=True)

    disqualified_at = models.DateTimeField(null=True, blank=True)
    disqualified_reason = models.TextField(blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True, help_text="from then on it does not count")
    brought_back_at = models.DateTimeField(null=True, blank=True, help_text="when a withdrawn one was to count again")
    compared_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="when it was compared with other teams' (operations.equal_entries)",
    )

    # What its phase allowed when it was accepted, where that was lowered since: challenge.mid_phase.
    kept_limits = models.JSONField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-pk"]  # and not by the clock, which may be set back
        constraints = [
            models.UniqueConstraint(fields=["team", "ticket"], condition=~Q(ticket=""), name="a_ticket_is_used_once"),
            models.CheckConstraint(
                condition=Q(kind=SubmissionKind.TRY_OUT, cases_of__isnull=False)
                | (~Q(kind=SubmissionKind.TRY_OUT) & Q(cases_of__isnull=True)),
                name="only_a_try_out_runs_on_the_cases_of_a_phase_by_name",
            ),
            models.CheckConstraint(
                condition=Q(withdrawn_at=None) | Q(brought_back_at=None), name="withdrawn_or_brought_back"
            ),
        ]
        indexes = [
            models.Index(fields=["team", "phase"]),
            models.Index(fields=["state"]),
            models.Index(fields=["upload"]),
            models.Index(fields=["id"], condition=Q(compared_at=None), name="submissions_to_compare"),
            # What boards ask of all submissions of a phase, whose rows are long.
            models.Index(
                fields=["phase", "kind", "team"],
                include=["id", "track", "entry", "accepted_at", "charged", "disqualified_at"],
                condition=Q(withdrawn_at=None),
                name="submissions_of_boards",
            ),
        ]

    def __str__(self) -> str:
        return f"submission {self.pk}: {self.algorithm} of {self.team}"

    @property
    def is_of_masks(self) -> bool:
        """Whether masks were handed in, which no container of ours wrote."""
        return self.entry == self.Entry.MASKS

    @property
    def is_scored(self) -> bool:
        """Whether it is an entry: no try-out, no post-challenge run."""
        return self.kind == SubmissionKind.SCORED

    @property
    def is_try_out(self) -> bool:
        """Whether it is only a try-out."""
        return self.kind == SubmissionKind.TRY_OUT

    @property
    def is_post_challenge(self) -> bool:
        """Whether it came after the deadline, and is never ranked."""
        return self.kind == SubmissionKind.POST_CHALLENGE

    @property
    def gpus(self) -> int:
        """How many GPUs its containers have."""
        return self.phase.gpus

    def limit(self, name: str) -> Any:
        """How much it may have of something: what its phase allows now, or allowed when it was accepted if more."""
        now, kept = getattr(self.phase, name), (self.kept_limits or {}).get(name)
        return now if kept is None else max(now, Decimal(kept) if isinstance(kept, str) else kept)

    @property
    def has_weights(self) -> bool:
        """Whether it comes with weights apart from its image."""
        return self.weights_id is not None

    @property
    def cases_are_public(self) -> bool:
        """Whether the cases that it runs on are public: those of its phase, or of a try-out those that it names."""
        return (self.cases_of or self.phase).cases_are_public

    @property
    def latest_run(self) -> "Run | None":
        """The run that matters; an earlier one stays readable."""
        return max(self.runs.all(), key=lambda run: run.number, default=None)

    @property
    def stage(self) -> Stage:
        """The state that matters now: of the latest run, or of the submission while (or because) there is none."""
        run = self.latest_run
        return RunState(run.state) if run and self.state == SubmissionState.ACCEPTED else SubmissionState(self.state)


class ImageProvenance(models.Model):
    """What a submission's image was before it was rebuilt; of those checked before 0008 there is none.

    One for each submission, not for each image: two originals can become the same image. The digest of the file as
    uploaded is the submission's own `upload`.
    """

    submission = models.OneToOneField(Submission, on_delete=models.CASCADE, related_name="provenance")
    image_id = models.CharField(
        max_length=80, db_index=True, help_text="sha256 of the configuration as uploaded: the image's id at the team's"
    )
    diff_ids = models.JSONField(default=list, help_text="sha256 of each layer's content as uploaded, in order")
    file_bytes: "models.JSONField[list[int] | None, list[int] | None]" = models.JSONField(
        null=True, blank=True, help_text="bytes of each layer's files; nothing of what was checked before 0018"
    )
    warnings = models.JSONField(default=list, blank=True, help_text="what the check noticed, and what it opened")

    def __str__(self) -> str:
        return self.image_id[:19]
