"""What entries of different teams have in common, for organisers' eyes only, and the layers of images by which some is.

Found by operations.equal_entries.
"""

from functools import cached_property

from django.conf import settings
from django.db import models

from leaderboard.models.submissions import Submission


class ImageLayer(models.Model):
    """A layer of images as uploaded, above certain others: the same content above other layers is another row.

    `chain_id` names it with all below it, as the OCI image specification defines it (ChainID).
    """

    chain_id = models.CharField(max_length=80, unique=True)
    diff_id = models.CharField(max_length=80, db_index=True, help_text="sha256 of its content")

    def __str__(self) -> str:
        return self.diff_id[:19]


class LayerUse(models.Model):
    """That a submission's image has this layer, which holds more than empty files; `is_top`: none such lies above."""

    layer = models.ForeignKey(ImageLayer, on_delete=models.CASCADE, related_name="uses")
    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="layer_uses")
    is_top = models.BooleanField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["submission", "layer"], name="a_layer_once_per_submission")]
        indexes = [models.Index(fields=["layer"], condition=models.Q(is_top=True), name="images_by_their_top_layer")]

    def __str__(self) -> str:
        return f"{self.layer} in {self.submission_id}"


class Equality(models.Model):
    """Something that entries of at least two teams have in common, and what organisers noted about it.

    Whoever comes later joins it, so that what eighty teams have in common is one row with eighty entries.
    """

    class Kind(models.TextChoices):
        UPLOAD = "upload", "the same upload"
        IMAGE = "image", "the same image"
        LAYERS = "layers", "the same layers of their own"
        WEIGHTS = "weights", "the same weights"
        MASKS = "masks", "equal masks"

    kind = models.CharField(max_length=10, choices=Kind)
    key = models.CharField(max_length=80, help_text="the digest that is equal; of masks, the run that was found first")
    found_at = models.DateTimeField()
    looked_at = models.DateTimeField(null=True, blank=True)
    looked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    note = models.TextField(blank=True)
    last_seen = models.BigIntegerField(default=0, help_text="the newest entry that was there when somebody looked")

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "equalities"
        constraints = [models.UniqueConstraint(fields=["kind", "key"], name="an_equality_is_found_once")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.pk})"

    @property
    def is_open(self) -> bool:
        """Whether nobody looked at it since it was found, or since somebody joined."""
        return self.looked_at is None or self.newest > self.last_seen

    @cached_property
    def newest(self) -> int:
        """The key of the entry that joined last."""
        return self.entries.aggregate(newest=models.Max("pk"))["newest"] or 0

    @cached_property
    def size(self) -> int:
        """How many entries share in it."""
        return self.entries.count()


class EqualEntry(models.Model):
    """A submission that shares in an equality.

    Of masks: in how many of the cases in which both have a mask that is not empty they are `equal` to those of `like`.
    """

    equality = models.ForeignKey(Equality, on_delete=models.CASCADE, related_name="entries")
    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="equal_entries")
    added_at = models.DateTimeField()
    like = models.ForeignKey(Submission, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    equal_cases = models.PositiveIntegerField(null=True, blank=True)
    compared_cases = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "equal entries"
        constraints = [
            models.UniqueConstraint(fields=["equality", "submission"], name="a_submission_once_per_equality")
        ]

    def __str__(self) -> str:
        return f"submission {self.submission_id} in {self.equality_id}"
