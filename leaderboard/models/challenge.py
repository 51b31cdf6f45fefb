"""What is asked of teams: case sets, their cases and findings, and the phases with their policies."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

import evaluation

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser, AnonymousUser

GIB = 1 << 30
MIB = 1 << 20
MOST_TRY_OUT_CASES = 20
WITHOUT_TRY_OUT = timedelta(hours=48)


class CaseSet(models.Model):
    """A fixed set of cases with its reference masks. Immutable once imported: `digest` names its content."""

    name = models.SlugField(max_length=60, unique=True)
    digest = models.CharField(max_length=80, help_text="sha256 over dataset facts, volumes and masks")
    imported_at = models.DateTimeField(auto_now_add=True)
    mends = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="mended",
        help_text="The set as it was first, whose volumes, sentences and public half it has.",
    )
    revision = models.PositiveSmallIntegerField(
        default=0, db_default=0, editable=False, help_text="Counts the sets that mend the same one. 0: it mends none."
    )
    half_commitment = models.CharField(
        max_length=80,
        blank=True,
        default="",
        db_default="",
        help_text="Fixes which cases are the public half (docs/public-half.md). Empty: imported before there were any.",
    )
    is_ranked = models.BooleanField(
        default=True,
        db_default=True,
        editable=False,
        help_text="Every finding has a category. A set without is for phases without ranks.",
    )
    # What organisers decide about its files. A trigger of the database keeps it false while a phase hides the cases.
    allows_downloads = models.BooleanField(
        default=False, db_default=False, help_text="Its volumes and masks may be downloaded, by who accepts the terms."
    )
    copied_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since then all its files lie where they are handed out."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["mends", "revision"], name="revisions_of_a_case_set_are_numbered"),
            models.CheckConstraint(
                condition=models.Q(mends=None, revision=0) | models.Q(mends__isnull=False, revision__gt=0),
                name="what_mends_a_case_set_has_a_revision",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def first(self) -> "CaseSet":
        """The set as it was before anything of it was mended."""
        return self.mends or self

    @property
    def family(self) -> models.Q:
        """The sets that are this one but for what was mended, itself among them."""
        first = self.mends_id or self.pk
        return models.Q(pk=first) | models.Q(mends=first)

    @property
    def evaluation_version(self) -> str:
        """By which a run on these cases is scored now: that of the metrics, and which revision of the references."""
        return f"{evaluation.VERSION}{f'-r{self.revision}' if self.revision else ''}"


class HalfSecret(models.Model):
    """What the public half of a case set was drawn by. Told to nobody before the reveal."""

    case_set = models.OneToOneField(CaseSet, on_delete=models.CASCADE, primary_key=True, related_name="half_secret")
    secret = models.CharField(max_length=64, help_text="32 random bytes, in hexadecimal")

    def __str__(self) -> str:
        return f"secret of the half of {self.case_set}"


class DeletedHalf(models.Model):
    """What the half of a deleted set was drawn by: the same content gets the same half if it is imported again."""

    digest = models.CharField(max_length=80, unique=True, help_text="of the content of the set")
    secret = models.CharField(max_length=64, help_text="32 random bytes, in hexadecimal")

    def __str__(self) -> str:
        return f"half of {self.digest[:19]}"


class DataTerms(models.Model):
    """A version of the terms under which the files of a case set may be used. Never changed: a new version follows."""

    case_set = models.ForeignKey(CaseSet, on_delete=models.CASCADE, related_name="terms")
    version = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    text = models.TextField(max_length=20_000, help_text="What a person agrees to. Markdown.")
    published_at = models.DateTimeField()

    class Meta:
        ordering = ["case_set", "-version"]
        verbose_name = verbose_name_plural = "terms of data"
        constraints = [models.UniqueConstraint(fields=["case_set", "version"], name="one_text_per_version_of_terms")]

    def __str__(self) -> str:
        return f"terms of {self.case_set}, version {self.version}"


class DataAcceptance(models.Model):
    """That a person accepted a version of the terms of a case set, and when."""

    user = models.ForeignKey("User", on_delete=models.CASCADE, related_name="data_acceptances")
    terms = models.ForeignKey(DataTerms, on_delete=models.CASCADE, related_name="acceptances")
    accepted_at = models.DateTimeField()

    class Meta:
        ordering = ["-pk"]
        verbose_name = "acceptance of terms of data"
        verbose_name_plural = "acceptances of terms of data"
        constraints = [models.UniqueConstraint(fields=["user", "terms"], name="one_acceptance_of_terms_per_person")]

    def __str__(self) -> str:
        return f"{self.user} accepted the {self.terms}"


class Case(models.Model):
    """One CT volume with its findings. Volumes and references are blobs, named by digest."""

    case_set = models.ForeignKey(CaseSet, on_delete=models.CASCADE, related_name="cases")
    name = models.CharField(max_length=120)
    shape = models.JSONField(help_text="[H, W, D] in voxels")
    spacing_mm = models.JSONField(help_text="[H, W, D] in mm, from the CT volume")
    volume = models.CharField(max_length=80, help_text="digest of the re-written CT volume")
    volume_bytes = models.BigIntegerField()
    reference = models.CharField(max_length=80, help_text="digest of the reference mask")
    reference_bytes = models.BigIntegerField(
        null=True, blank=True, help_text="its size, once it was copied to where it is handed out"
    )
    in_public_half = models.BooleanField(
        default=False, help_text="drawn once at import; used by phases that publish half of the cases"
    )

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["case_set", "name"], name="one_case_per_name")]

    def __str__(self) -> str:
        return self.name


class CaseSetImport(models.Model):
    """What `import_cases` did, told by itself: how far it is, and all that it found.

    It is under way while `ended_at` is empty and its process holds its lock; without the lock, it was killed.
    """

    class Outcome(models.TextChoices):
        IMPORTED = "imported", "Imported"
        UNCHANGED = "unchanged", "Was there already"
        REFUSED = "refused", "Refused"

    name = models.CharField(max_length=60, help_text="of the set that it makes")
    case_set = models.ForeignKey(CaseSet, on_delete=models.SET_NULL, null=True, blank=True, related_name="imports")
    by = models.CharField(max_length=120)
    dataset = models.CharField(max_length=300, help_text="name of the dataset file")
    split = models.CharField(max_length=120)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True, default="")
    step = models.CharField(max_length=20, blank=True, default="", help_text="what it is at")
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    problems = models.JSONField(default=list)
    warnings = models.JSONField(default=list)
    notes = models.JSONField(default=list)
    accepted = models.JSONField(default=list, help_text="groups of warnings that whoever imported it confirmed")

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"import of {self.name}"


class StoredVolume(models.Model):
    """A CT file that was checked and stored already, by its digest as it was delivered: an import goes on with it."""

    source = models.CharField(max_length=80, unique=True)
    volume = models.CharField(max_length=80, help_text="digest of the re-written CT volume")
    volume_bytes = models.BigIntegerField()
    low = models.FloatField()
    high = models.FloatField()
    stored_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.source[:19]


class CasePicture(models.Model):
    """Three slices of a public case with the outlines of its findings: made where the reference masks are."""

    case = models.OneToOneField(Case, on_delete=models.CASCADE, primary_key=True, related_name="picture")
    picture = models.CharField(max_length=80, help_text="digest of a PNG")
    width = models.PositiveSmallIntegerField()
    height = models.PositiveSmallIntegerField()

    def __str__(self) -> str:
        return f"picture of {self.case}"


class Finding(models.Model):
    """One sentence and its mask channel; the unit of Dice."""

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="findings")
    channel = models.PositiveSmallIntegerField()
    text = models.TextField()
    category = models.CharField(max_length=2)
    entity_count = models.PositiveIntegerField()
    voxels = models.BigIntegerField(help_text="foreground voxels of the reference")

    class Meta:
        ordering = ["channel"]
        constraints = [models.UniqueConstraint(fields=["case", "channel"], name="one_finding_per_channel")]

    def __str__(self) -> str:
        return f"{self.case.name} finding {self.channel}"


OPEN_SOURCE = (
    "We will publish the code and the weights of this algorithm under an open-source licence within four weeks of the "
    "publication of the results."
)


class PhaseQuerySet(models.QuerySet["Phase"]):
    """Phases. Whoever shows some to people takes those that everybody may know of, or those that the reader may."""

    def published(self) -> Self:
        """Those that everybody may know of: no draft."""
        return self.filter(is_draft=False)

    def known_to(self, person: "AbstractUser | AnonymousUser") -> Self:
        """Those that a person may know of: organisers of drafts, too."""
        return self if getattr(person, "current_role", None) else self.published()


class Phase(models.Model):
    """A period with a case set and policies. Every rule that teams argue about is a field here, not code."""

    class Counting(models.TextChoices):
        LAST = "last", "the last scored run accepted by the deadline"
        BEST = "best", "the run with the highest ranking score"

    class Publication(models.TextChoices):
        EVERYTHING = "everything", "live standings on all cases, rounded until the reveal where they are hidden"
        HALF = "half", "live standings on the public half until the reveal"
        NOTHING = "nothing", "nothing until the reveal"

    class Asked(models.TextChoices):
        NO = "no", "not asked for"
        OPTIONAL = "optional", "asked for, may be left out"
        REQUIRED = "required", "required"

    class Takes(models.TextChoices):
        IMAGES = "images", "images"
        MASKS = "masks", "archives of masks"
        BOTH = "both", "images, and archives of masks"

    name = models.CharField(max_length=60)
    slug = models.SlugField(max_length=60, unique=True)
    is_draft = models.BooleanField(
        "draft",
        default=False,
        db_default=False,
        help_text="Nobody but organisers sees that it exists, and it takes nothing, until you clear this. Possible "
        "until the phase opens.",
    )
    description = models.TextField(blank=True, help_text="One or two sentences for the leaderboard and the home page.")
    case_set = models.ForeignKey(CaseSet, on_delete=models.PROTECT, related_name="phases")
    evaluation_version = models.CharField(
        max_length=20,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="By which its runs are ranked; empty until the first one is scored. A re-scoring changes it.",
    )
    opens_at = models.DateTimeField("opens at (UTC)")
    closes_at = models.DateTimeField("closes at (UTC)")

    cases_are_public = models.BooleanField(
        default=False,
        help_text="Teams see per-case scores, logs and exact progress. Only for cases whose masks are public.",
    )
    counting = models.CharField(max_length=4, choices=Counting, default=Counting.LAST)
    publication = models.CharField(max_length=10, choices=Publication, default=Publication.EVERYTHING)
    revealed_at = models.DateTimeField(null=True, blank=True, help_text="From this instant everything is shown.")
    embargo_until = models.DateTimeField(
        "results under embargo until (UTC)",
        null=True,
        blank=True,
        help_text="Until then boards show no row, and teams see of their own runs whether they were scored, no "
        "numbers, whatever is published or revealed. For hidden cases. Empty: no embargo.",
    )
    anonymous_until_reveal = models.BooleanField(
        "teams without names until the reveal",
        default=False,
        db_default=False,
        help_text="Boards and exports say “Team 7” in place of names, institutions, algorithms, links and methods; "
        "each team sees which one it is. Names appear at “revealed at”. Choose it before anybody hands in.",
    )
    archived_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="From this instant masks, images and weights are not kept any more.",
    )
    # What organisers publish of single hidden cases, once for all (challenge/published_cases.py).
    cases_published_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since then numbers of each hidden case are shown."
    )
    findings_published_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since then those of each finding of a hidden case, too."
    )
    show_categories = models.BooleanField(default=False, help_text="Put the category codes into cases.json.")

    commitment = models.CharField(
        "open-source commitment",
        max_length=8,
        choices=Asked,
        default=Asked.NO,
        db_default=Asked.NO,
        help_text="A box that a team ticks; shown with its entry on the board.",
    )
    commitment_text = models.TextField(
        "text of the commitment",
        max_length=1000,
        default=OPEN_SOURCE,
        db_default=OPEN_SOURCE,
        help_text="What a team commits to. Who ticked an older text has committed to that.",
    )
    pdf = models.CharField(
        "PDF of the method",
        max_length=8,
        choices=Asked,
        default=Asked.NO,
        db_default=Asked.NO,
        help_text="Only the team and organisers can download it.",
    )

    takes = models.CharField(
        max_length=6,
        choices=Takes,
        default=Takes.IMAGES,
        db_default="images",
        help_text="What teams hand in. Archives of masks only where the cases are public: no container writes them.",
    )
    is_ranked = models.BooleanField(
        "ranks its entries",
        default=True,
        db_default=True,
        help_text="Clear it for a board in order of scores, without ranks. Only such a phase takes a case set whose "
        "findings lack categories.",
    )
    masks_are_ranked = models.BooleanField(
        default=True,
        db_default=True,
        help_text="Rank entries of masks with the images. Else they stand apart, unranked. Marked in any case.",
    )

    show_submitters = models.BooleanField(
        "name who handed a run in",
        default=False,
        db_default=False,
        help_text="“All runs” of the board names the person beside each run, for everybody to read. Teams are told so "
        "before they submit; runs from before you switch this on stay without a name.",
    )
    requires_approval = models.BooleanField(
        "teams are approved by organisers",
        default=False,
        db_default=False,
        help_text="A team prepares drafts at once, and hands in once an organiser has approved it (“Team approvals”).",
    )
    runs_per_day = models.PositiveSmallIntegerField(default=2, validators=[MinValueValidator(1)])
    runs_total = models.PositiveSmallIntegerField(default=10, validators=[MinValueValidator(1)])

    try_outs_on = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="try-outs on the cases of",
        help_text="A phase whose cases are public: this one, or another. Empty: there are no try-outs.",
    )
    try_out_cases = models.PositiveSmallIntegerField(
        "cases of a try-out",
        default=3,
        db_default=3,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_TRY_OUT_CASES)],
    )
    try_outs_per_day = models.PositiveSmallIntegerField(
        "try-outs per day", default=3, db_default=3, validators=[MinValueValidator(1)]
    )
    try_out_required_from = models.DateTimeField(
        "a passed try-out is required from (UTC)",
        null=True,
        blank=True,
        help_text="From then on a run needs a passed try-out of the same image, but for the last 48 hours. Give two "
        "weeks' notice. Empty: not required.",
    )

    post_challenge_opens_at = models.DateTimeField(
        "post-challenge runs from (UTC)",
        null=True,
        blank=True,
        help_text="Not before the deadline. Empty: nothing is taken after the deadline.",
    )
    post_challenge_closes_at = models.DateTimeField(
        "post-challenge runs until (UTC)", null=True, blank=True, help_text="Empty: until further notice."
    )
    post_challenge_per_day = models.PositiveSmallIntegerField(
        "post-challenge runs per day", default=1, db_default=1, validators=[MinValueValidator(1)]
    )
    post_challenge_total = models.PositiveSmallIntegerField(
        "post-challenge runs in all", default=3, db_default=3, validators=[MinValueValidator(1)]
    )

    batch_size = models.PositiveSmallIntegerField(default=25, validators=[MinValueValidator(1)])
    max_failures_in_row = models.PositiveSmallIntegerField(default=5, validators=[MinValueValidator(1)])
    case_seconds = models.PositiveIntegerField(default=120, validators=[MinValueValidator(1)])
    startup_seconds = models.PositiveIntegerField(default=300, validators=[MinValueValidator(1)])
    memory_bytes = models.BigIntegerField(default=32 * GIB, validators=[MinValueValidator(64 * MIB)])
    shm_bytes = models.BigIntegerField(default=8 * GIB, validators=[MinValueValidator(MIB)])
    tmp_bytes = models.BigIntegerField(default=8 * GIB, validators=[MinValueValidator(MIB)])
    output_bytes = models.BigIntegerField(default=4 * GIB, validators=[MinValueValidator(MIB)])
    log_bytes = models.PositiveIntegerField(default=256 * 1024, validators=[MaxValueValidator(MIB)])
    cpus = models.DecimalField(
        max_digits=5, decimal_places=2, default=8, validators=[MinValueValidator(Decimal("0.1"))]
    )
    pids = models.PositiveIntegerField(default=2048, validators=[MinValueValidator(16)])
    gpus = models.PositiveSmallIntegerField(default=1, help_text="GPUs per run; 0 runs on the CPU")
    max_archive_bytes = models.BigIntegerField("largest image archive, bytes", default=15 * 10**9)
    max_unpacked_bytes = models.BigIntegerField("largest image unpacked, bytes", default=40 * 10**9)

    max_masks_bytes = models.BigIntegerField(
        "largest archive of masks, packed and unpacked, bytes",
        default=10 * 10**9,
        db_default=10 * 10**9,
        validators=[MinValueValidator(MIB)],
    )

    objects = PhaseQuerySet.as_manager()

    class Meta:
        ordering = ["closes_at", "pk"]  # wherever several phases are named, the one that closes first stands first
        constraints = [
            models.CheckConstraint(
                condition=models.Q(opens_at__lt=models.F("closes_at")), name="opens_before_it_closes"
            ),
            models.CheckConstraint(
                condition=models.Q(takes="images") | models.Q(cases_are_public=True), name="hidden_cases_take_images"
            ),
            models.CheckConstraint(
                condition=models.Q(cases_published_at=None)
                | models.Q(revealed_at__isnull=False, revealed_at__lte=models.F("cases_published_at")),
                name="cases_are_published_after_the_reveal",
            ),
            models.CheckConstraint(
                condition=models.Q(cases_published_at=None)
                | models.Q(post_challenge_opens_at=None)
                | models.Q(
                    post_challenge_closes_at__isnull=False,
                    post_challenge_closes_at__lte=models.F("cases_published_at"),
                ),
                name="no_post_challenge_runs_on_published_cases",
            ),
            models.CheckConstraint(
                condition=models.Q(findings_published_at=None) | models.Q(cases_published_at__isnull=False),
                name="findings_are_published_with_their_cases",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def ranked_version(self) -> str:
        """The evaluation version by which its runs are ranked: no other one's numbers are on its boards."""
        return self.evaluation_version or self.case_set.evaluation_version

    @property
    def takes_images(self) -> bool:
        """Whether teams may hand in images."""
        return self.takes != self.Takes.MASKS

    @property
    def takes_masks(self) -> bool:
        """Whether teams may hand in archives of masks."""
        return self.takes != self.Takes.IMAGES

    @property
    def max_upload_bytes(self) -> int:
        """The most that a file may have that is handed in, whatever it is."""
        most_masks = self.max_masks_bytes if self.takes_masks else 0
        return max(self.max_archive_bytes if self.takes_images else 0, most_masks)

    @property
    def try_out_required_until(self) -> datetime:
        """In the last hours before the deadline nobody is asked for a try-out."""
        return self.closes_at - WITHOUT_TRY_OUT

    def clean(self) -> None:
        """Say what an organiser should change before the database has to refuse it."""
        if self.opens_at and self.closes_at and self.opens_at >= self.closes_at:
            raise ValidationError({"closes_at": "The phase must close after it opens."})
        if self.cases_are_public and self.publication != self.Publication.EVERYTHING:
            raise ValidationError({"publication": "Public cases have nothing to withhold: choose “everything”."})
        if self.cases_are_public and self.embargo_until:
            raise ValidationError({"embargo_until": "Public cases have nothing to withhold: leave the embargo empty."})
        self._refuse_masks_of_hidden_cases()
        if self.case_set_id:
            self._refuse_showing_hidden_cases()
        self._refuse_try_outs_on_hidden_cases()
        self._refuse_try_outs_on_a_draft()
        self._refuse_post_challenge_runs_before_the_deadline()

    def _refuse_masks_of_hidden_cases(self) -> None:
        if self.cases_are_public:
            return
        if self.takes_masks:
            raise ValidationError(
                {"takes": "Masks can be handed in only where the cases are public: make them so, or take images alone."}
            )
        if self.pk and self.submissions.filter(entry="masks").exists():
            raise ValidationError(
                {"cases_are_public": "Masks were handed in to this phase: its cases cannot be hidden any more."}
            )

    def _refuse_showing_hidden_cases(self) -> None:
        if self.case_set.allows_downloads and not self.cases_are_public:
            raise ValidationError({"cases_are_public": "The files of these cases can be downloaded: they stay public."})
        others = Phase.objects.filter(case_set=self.case_set_id).exclude(pk=self.pk)
        other = others.exclude(cases_are_public=self.cases_are_public).first()
        if other is not None:
            kept = "public" if other.cases_are_public else "hidden"
            raise ValidationError({"cases_are_public": f"The {other.name} uses the same cases and keeps them {kept}."})

    def _refuse_try_outs_on_hidden_cases(self) -> None:
        # The row that is being changed is what is asked about itself, not what the database has of it.
        source = self if self.pk and self.try_outs_on_id == self.pk else self.try_outs_on
        if source is not None and not source.cases_are_public:
            raise ValidationError({"try_outs_on": "A try-out shows its cases: choose a phase whose cases are public."})
        other = Phase.objects.filter(try_outs_on=self.pk).exclude(pk=self.pk).first() if self.pk else None
        if other is not None and not self.cases_are_public:
            raise ValidationError({"cases_are_public": f"The {other.name} has its try-outs on these cases."})

    def _refuse_try_outs_on_a_draft(self) -> None:
        if self.is_draft:
            other = (
                Phase.objects.published().filter(try_outs_on=self.pk).exclude(pk=self.pk).first() if self.pk else None
            )
            if other is not None:
                raise ValidationError(
                    {"is_draft": f"The {other.name}, which is no draft, has its try-outs on its cases."}
                )
        elif self.try_outs_on is not None and self.try_outs_on_id != self.pk and self.try_outs_on.is_draft:
            raise ValidationError({"try_outs_on": "That phase is a draft, which nobody may know of: publish it first."})

    def _refuse_post_challenge_runs_before_the_deadline(self) -> None:
        opens, closes = self.post_challenge_opens_at, self.post_challenge_closes_at
        if opens and self.closes_at and opens < self.closes_at:
            raise ValidationError({"post_challenge_opens_at": "Post-challenge runs cannot begin before the deadline."})
        if closes and (opens is None or closes <= opens):
            raise ValidationError({"post_challenge_closes_at": "Post-challenge runs must end after they begin."})


class CaseNumberSecret(models.Model):
    """What the hidden cases of a phase are numbered by, where numbers of theirs are published without their names."""

    phase = models.OneToOneField(Phase, on_delete=models.CASCADE, primary_key=True, related_name="case_number_secret")
    secret = models.CharField(max_length=64, help_text="32 random bytes, in hexadecimal")

    def __str__(self) -> str:
        return f"secret of the case numbers of {self.phase}"
