"""The GPU hosts."""

from functools import partial

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from leaderboard import models
from leaderboard.admin.bases import Decisions, ReadOnly
from leaderboard.core.text import sanitised
from leaderboard.hosts import gpus, registry
from leaderboard.journey import pipeline


@admin.register(models.Host)
class HostAdmin(ReadOnly, Decisions):
    """GPU hosts come in through `manage.py add_host`."""

    list_display = (
        "name",
        "version",
        "engine",
        "slots",
        "offered_gpus",
        "takes_weights",
        "trouble",
        "seen_at",
        "serves",
        "draining",
        "revoked_at",
    )
    actions = ("drain", "take_work", "serve_every_phase", "serve_public_cases", "serve_hidden_cases", "revoke")

    @admin.display(description="GPUs")
    def offered_gpus(self, host: models.Host) -> str:
        """The GPUs that it said it offers, in a line."""
        return sanitised(gpus.summary(host)) or "–"

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only the list's actions change something."""
        return obj is None and request.user.has_perm("leaderboard.change_host")

    @admin.action(description="Drain: finish what runs, take nothing new", permissions=["change"])
    def drain(self, request: HttpRequest, chosen: QuerySet[models.Host]) -> None:
        """Before a host is updated or switched off; the health page says when it has nothing left."""
        self.decide(request, chosen, registry.drain, "drains")

    @admin.action(description="Take work again", permissions=["change"])
    def take_work(self, request: HttpRequest, chosen: QuerySet[models.Host]) -> None:
        """The end of draining."""
        self.decide(request, chosen, registry.end_draining, "takes work again")
        pipeline.fill_slots()

    @admin.action(description="Run programs of every phase", permissions=["change"])
    def serve_every_phase(self, request: HttpRequest, chosen: QuerySet[models.Host]) -> None:
        """As a host does from its start."""
        self._let_serve(request, chosen, models.Host.Serves.EVERY)

    @admin.action(description="Run programs of phases of public cases only", permissions=["change"])
    def serve_public_cases(self, request: HttpRequest, chosen: QuerySet[models.Host]) -> None:
        """Teams read the logs of these: they must not share a kernel with what has hidden cases."""
        self._let_serve(request, chosen, models.Host.Serves.PUBLIC)

    @admin.action(description="Run programs of phases of hidden cases only", permissions=["change"])
    def serve_hidden_cases(self, request: HttpRequest, chosen: QuerySet[models.Host]) -> None:
        """So that no program whose log its team reads sees anything of them."""
        self._let_serve(request, chosen, models.Host.Serves.HIDDEN)

    def _let_serve(self, request: HttpRequest, chosen: QuerySet[models.Host], which: models.Host.Serves) -> None:
        self.decide(request, chosen, partial(registry.let_serve, which=which), f"serves {which.label}")
        pipeline.fill_slots()

    @admin.action(description="Revoke the token", permissions=["change"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[models.Host]) -> None:
        """The host's next request is refused; its batches go to other hosts when their leases end."""
        self.decide(request, chosen, registry.revoke, "has no valid token any more")
