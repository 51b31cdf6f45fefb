"""The case sets: whether their files may be downloaded, under which terms, and who accepted them."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string

from leaderboard import models
from leaderboard.admin.bases import Decisions, ReadOnly, Recorded, RecordedForm, organiser_of, reason_of
from leaderboard.board.disclosure import Reader, Viewer
from leaderboard.board.half import ShownHalf
from leaderboard.challenge import downloads
from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.templatetags.show import digest


@admin.register(models.CaseSet)
class CaseSetAdmin(ReadOnly, Decisions):
    """Case sets come in through `manage.py import_cases`."""

    list_display = ("name", "short_digest", "imported_at", "allows_downloads", "copied_at")
    actions = ("allow_downloads", "end_downloads")
    readonly_fields = ("half",)

    @admin.display(description="public half")
    def half(self, case_set: models.CaseSet) -> str:
        """How even both halves are, and what organisers may know of them now."""
        shown = ShownHalf.of(Viewer(Reader.ORGANISER, clock.now()).of_half(case_set))
        return render_to_string("admin/half.html", {"half": shown})

    @admin.display(description="digest")
    def short_digest(self, case_set: models.CaseSet) -> str:
        """Enough of it to compare by eye: the whole of it pushes what can be decided off the screen."""
        return digest(case_set.digest)

    # Who may change phases may decide this: the rows themselves nobody changes by hand.
    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Whether this organiser may decide about downloads."""
        return request.user.has_perm("leaderboard.change_caseset")

    @admin.action(description="Allow downloads of volumes and masks (public cases only)", permissions=["decide"])
    def allow_downloads(self, request: HttpRequest, chosen: QuerySet[models.CaseSet]) -> None:
        """Files are copied to where they are handed out; then who accepts the terms finds them."""
        self.decide(request, chosen, downloads.allow, "can be downloaded as soon as its files are copied")

    @admin.action(description="End downloads", permissions=["decide"])
    def end_downloads(self, request: HttpRequest, chosen: QuerySet[models.CaseSet]) -> None:
        """Nothing more is handed out."""
        self.decide(request, chosen, downloads.end, "cannot be downloaded any more")


class TermsForm(RecordedForm):
    """A new version of the terms of a case set."""

    def _post_clean(self) -> None:
        """Ask what publishing asks again."""
        super()._post_clean()  # type: ignore[misc]
        case_set, text = self.cleaned_data.get("case_set"), self.cleaned_data.get("text")
        if case_set and text:
            try:
                downloads.check_terms(case_set, text)
            except Refused as refusal:
                self.add_error("text", str(refusal))


@admin.register(models.DataTerms)
class DataTermsAdmin(Recorded):
    """The versions of the terms. A new one is added; none is changed, for people accepted what it says."""

    form = TermsForm
    list_display = ("case_set", "version", "published_at")
    fields = ("case_set", "text", "why")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A version that is in force is read, with its number."""
        return ("case_set", "version", "published_at", "text") if obj else self.fields

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes what was accepted."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes it either."""
        return False

    def save_model(self, request: HttpRequest, obj: Model, form: forms.ModelForm, change: bool) -> None:
        """By the function that numbers and records them."""
        terms = cast(models.DataTerms, obj)
        made = downloads.publish_terms(terms.case_set, terms.text, by=organiser_of(request), why=reason_of(request))
        terms.pk, terms.version, terms.published_at = made.pk, made.version, made.published_at


@admin.register(models.DataAcceptance)
class DataAcceptanceAdmin(ReadOnly):
    """Who accepted which version, and when."""

    list_display = ("user", "terms", "accepted_at")
    named = {"user": models.User.objects.all(), "terms": models.DataTerms.objects.select_related("case_set")}
