"""The machines that run containers."""

from django.db import models


class Host(models.Model):
    """A GPU host. It knows its token, the server knows only the token's hash; revoking is one field."""

    class Serves(models.TextChoices):
        """Whose programs it runs. Those of one host share a kernel, by which each can measure the others."""

        EVERY = "every", "every phase"
        PUBLIC = "public", "phases of public cases"
        HIDDEN = "hidden", "phases of hidden cases"

    name = models.SlugField(max_length=60, unique=True)
    token_hash = models.CharField(max_length=64, unique=True, help_text="sha256 of the token, hex")
    slots = models.JSONField(default=list, blank=True, help_text='as the host said: [{"name": "cpu0", "gpus": []}]')
    engine = models.CharField(max_length=200, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    hello_at = models.DateTimeField(null=True, blank=True, help_text="when it last said what it offers")
    version = models.CharField(max_length=40, blank=True, db_default="", help_text="of its worker, as the host said")
    free_bytes = models.BigIntegerField(null=True, blank=True, help_text="free on its disk, if the host said so")
    trouble = models.TextField(
        blank=True, db_default="", help_text="why it offers less than it has, or nothing, as it said"
    )
    gpus = models.JSONField(
        null=True, blank=True, help_text="its GPUs, their driver and CUDA version, if the host said so"
    )
    machine = models.JSONField(
        null=True, blank=True, help_text="bytes of its memory, its disk and its caches, if the host said so"
    )
    takes_weights = models.BooleanField(
        default=False, db_default=False, help_text="it said that it can do runs with weights apart from the image"
    )
    draining = models.BooleanField(
        default=False, db_default=False, help_text="it finishes what it has and gets nothing new"
    )
    serves = models.CharField(
        max_length=10,
        choices=Serves,
        default=Serves.EVERY,
        db_default=Serves.EVERY,
        help_text="which phases' programs it runs",
    )
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name
