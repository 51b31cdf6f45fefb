"""What organisers tell on the site: news, questions, dates; when registration opens, and who waits for it."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST

from leaderboard import models
from leaderboard.admin.bases import Decisions, ReadOnly, Recorded, organiser_of, reason_of
from leaderboard.people import preregistration


@admin.register(models.NewsItem)
class NewsItemAdmin(Recorded):
    """News: written in Markdown, public from an instant on. “View on site” shows a draft as it will be."""

    list_display = ("title", "published_at", "changed_at")
    search_fields = ("title",)
    prepopulated_fields = {"slug": ("title",)}
    fields = ("title", "slug", "body", "published_at", "why")

    def view_on_site(self, obj: models.NewsItem) -> str:
        """Its page."""
        return reverse("news_item", args=[obj.slug])


@admin.register(models.FaqSection)
class FaqSectionAdmin(Recorded):
    """The headings of the page of questions."""

    list_display = ("name", "order")


@admin.register(models.Question)
class QuestionAdmin(Recorded):
    """Questions and their answers, likewise in Markdown."""

    list_display = ("question", "section", "order", "published_at")
    list_filter = ("section",)
    list_select_related = ("section",)
    search_fields = ("question",)
    prepopulated_fields = {"slug": ("question",)}
    fields = ("section", "question", "slug", "answer", "order", "published_at", "why")

    def view_on_site(self, obj: models.Question) -> str:
        """Its place on the page."""
        return reverse("question", args=[obj.slug])


@admin.register(models.ChallengeDate)
class ChallengeDateAdmin(Recorded):
    """The dates of the home page."""

    list_display = ("__str__", "at", "day", "phase", "moment", "words", "order", "is_shown")
    list_select_related = ("phase",)
    fields = ("label", "at", "day", "phase", "moment", "words", "order", "is_shown", "why")


@admin.register(models.Registration)
class RegistrationAdmin(Recorded):
    """When registration opens: one row."""

    list_display = ("__str__", "opens_at")
    fields = ("opens_at", "why")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """There is one, which a migration wrote."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Registration | None = None) -> bool:
        """It stays; an empty instant says that registration is open."""
        return False


@admin.register(models.PreRegistration)
class PreRegistrationAdmin(ReadOnly, Decisions):
    """Who wants to be told when registration opens: how many, and the confirmed addresses as a file.

    Each export is recorded, and so is who took an address off because its owner asked for that by other ways.
    """

    list_display = ("email", "asked_at", "confirmed_at", "told_at")
    search_fields = ("email",)
    ordering = ("-pk",)
    fields = ("email", "asked_at", "confirmed_at", "told_at")
    actions = ("take_off",)
    change_list_template = "admin/pre_registrations.html"

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Who may export, and take off."""
        return request.user.has_perm("leaderboard.change_preregistration")

    @admin.action(description="Take the address off, as its owner asks", permissions=["decide"])
    def take_off(self, request: HttpRequest, chosen: QuerySet[models.PreRegistration]) -> None:
        """Forget addresses."""
        self.decide(request, chosen, preregistration.take_off, "the address is taken off")

    def get_urls(self) -> list[Any]:
        """With the one for the export."""
        view = self.admin_site.admin_view(self.export)
        return [path("export/", view, name="leaderboard_preregistration_export"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """With how many there are."""
        more = {"counts": preregistration.counts(), "may_export": self.has_decide_permission(request)}
        return super().changelist_view(request, {**more, **(extra_context or {})})

    @method_decorator(require_POST)
    def export(self, request: HttpRequest) -> HttpResponse:
        """The confirmed addresses."""
        if not self.has_decide_permission(request):
            raise PermissionDenied
        table = preregistration.export(by=organiser_of(request), why=reason_of(request))
        headers = {"Content-Disposition": 'attachment; filename="pre-registrations.csv"'}
        return HttpResponse(table, content_type="text/csv; charset=utf-8", headers=headers)
