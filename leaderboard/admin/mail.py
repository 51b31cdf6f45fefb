"""Messages to people: what became of each, who cannot be reached, and what is announced."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from leaderboard import models
from leaderboard.admin.bases import Decisions, NamedValues, ReadOnly, Recorded, organiser_of, reason_of
from leaderboard.core.refusal import Refused
from leaderboard.notices import announcing


@admin.register(models.OutgoingMail)
class OutgoingMailAdmin(ReadOnly):
    """The outbox. What a message says is for nobody but whom it is for."""

    list_display = ("created_at", "to", "kind", "state", "answer", "tries", "due_at", "subject")
    list_filter = ("state", ("kind", NamedValues))
    search_fields = ("to",)
    exclude = ("body", "unsubscribe")
    ordering = ("-pk",)


@admin.register(models.RefusedAddress)
class RefusedAddressAdmin(Recorded):
    """Addresses that get no notices. One from which messages come back later can be marked here by hand."""

    list_display = ("email", "refused_at", "answer")
    search_fields = ("email",)
    ordering = ("-pk",)


@admin.register(models.Announcement)
class AnnouncementAdmin(Decisions, Recorded):
    """What organisers tell by mail: a draft, looked at, then sent. What was sent stays as it is."""

    list_display = ("subject", "audience", "phase", "created_at", "sent_at", "recipients")
    list_select_related = ("phase",)
    readonly_fields = ("would_reach", "preview", "sent_at", "recipients")
    actions = ("send_to_me", "send")
    exclude = (
        "team",
        "affected_from",
        "affected_until",
        "by_mail",
        "on_site",
        "level",
        "shown_until",
        "occasion",
        "of_phase",
    )
    ordering = ("-pk",)

    @admin.display(description="People it would reach now")
    def would_reach(self, announcement: models.Announcement) -> str:
        """How many."""
        if announcement.sent_at or not announcement.pk:
            return "–"
        count = len(announcing.recipients_of(announcement))
        return f"{count}. It is sent from the list of announcements: choose it, and an action."

    @admin.display(description="As it is read")
    def preview(self, announcement: models.Announcement) -> str:
        """The text of the message."""
        if not announcement.pk:
            return "Save it first."
        return format_html("<pre>{}</pre>", announcing.preview_of(announcement))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """As it is when it is saved: whoever sends it at this moment waits, or was first."""
        found = super().get_object(request, object_id, from_field)
        if found is None or request.method != "POST":
            return found
        return models.Announcement.objects.select_for_update().get(pk=found.pk)

    def has_change_permission(self, request: HttpRequest, obj: models.Announcement | None = None) -> bool:
        """Nothing that was sent, or is to be."""
        return (obj is None or obj.is_draft) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: models.Announcement | None = None) -> bool:
        """Nothing that was sent, or is to be."""
        return (obj is None or obj.is_draft) and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Model, form: forms.ModelForm, change: bool) -> None:
        """By the function that lets nobody change what was announced at this moment."""
        try:
            announcing.keep(cast(models.Announcement, obj), by=organiser_of(request), why=reason_of(request))
        except Refused as refusal:
            self.message_user(request, str(refusal), messages.ERROR)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without the one that deletes whatever is chosen."""
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    @admin.action(description="Send to yourself, to look at it", permissions=["change"])
    def send_to_me(self, request: HttpRequest, chosen: QuerySet[models.Announcement]) -> None:
        """The message as everybody would get it."""
        person = cast(models.User, request.user)
        for announcement in chosen.select_related("phase"):
            try:
                announcing.send_to_oneself(announcement, person)
            except Refused as refusal:
                self.message_user(request, str(refusal), messages.WARNING)
            else:
                self.message_user(request, f"{announcement}: it is on its way to you alone.")

    @admin.action(description="Send to all of its audience", permissions=["change"])
    def send(self, request: HttpRequest, chosen: QuerySet[models.Announcement]) -> None:
        """Send each, once."""
        self.decide(request, chosen, announcing.send, "is on its way")
