"""Teams, people, addresses."""

import secrets
from typing import Any, cast

import allauth.mfa.admin
import allauth.socialaccount.admin
import allauth.usersessions.admin  # noqa: F401  what they register is taken back below
from allauth.account.admin import EmailAddressAdmin
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import ForeignKeyRawIdWidget
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html

from leaderboard import models
from leaderboard.admin.bases import (
    Decisions,
    Named,
    ReadOnly,
    ReasonForm,
    Recorded,
    RecordedForm,
    organiser_of,
    reason_field,
    reason_of,
)
from leaderboard.core import audit, task_queue
from leaderboard.core.refusal import Refused
from leaderboard.core.text import check_no_link, one_line
from leaderboard.people import account_mails, addresses, approvals, captaincy, ending, roles, sign_in, teams
from leaderboard.states import Role


class PersonById(ForeignKeyRawIdWidget):
    """A list of all people would be as long as the challenge is large. Who it is the row's own title says."""

    def label_and_url_for_value(self, value: Any) -> tuple[str, str]:
        """Nothing: each would be a question."""
        return "", ""


class MembershipForms(forms.BaseInlineFormSet):
    """The forms of a team's members."""

    def add_fields(self, form: forms.ModelForm, index: int | None) -> None:
        """The box that takes one out has a name."""
        super().add_fields(form, index)
        if "DELETE" in form.fields:
            form.fields["DELETE"].widget.attrs["aria-label"] = "Delete"


class MembershipInline(Named, admin.TabularInline):
    """The members of a team."""

    model = models.Membership
    formset = MembershipForms
    extra = 0
    readonly_fields = ("is_captain",)  # chosen above, in one step: a team has one

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """By a person's number, with a window to look for it."""
        kwargs["widget"] = PersonById(db_field.remote_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Membership]:
        """With what a membership's name is made of."""
        return super().get_queryset(request).select_related("user", "team")


class TeamForm(RecordedForm):
    """A team's row; its name may not look like another team's, and its captain is one of its members."""

    captain = forms.ModelChoiceField(
        models.User.objects.none(),
        required=False,
        help_text="A member. The team is told of another one; what the captain has offered to somebody is undone.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        members = models.User.objects.filter(membership__team=self.instance.pk) if self.instance.pk else None
        if members is not None:
            field = cast(forms.ModelChoiceField, self.fields["captain"])
            field.queryset, field.initial = members, members.filter(membership__is_captain=True).first()

    def clean_name(self) -> str:
        """The name as it is kept, if it is new."""
        name = one_line(self.cleaned_data["name"])
        if self.instance.pk and name == self.instance.name:
            return name  # also where another one, founded before names were compared, looks the same
        check_no_link(name)
        try:
            self.instance.skeleton = teams.free_skeleton(name, but=self.instance)
        except Refused as refusal:
            raise forms.ValidationError(str(refusal)) from None
        return name


@admin.register(models.Team)
class TeamAdmin(Recorded):
    """Teams and their members."""

    form = TeamForm
    list_display = ("name", "affiliation", "is_of_organisers", "created_at")
    list_filter = ("is_of_organisers",)
    search_fields = ("name",)
    exclude = ("join_code",)
    inlines = (MembershipInline,)

    def save_model(self, request: HttpRequest, obj: Model, form: forms.ModelForm, change: bool) -> None:
        """Save, and have the boards say so on which the team stands."""
        super().save_model(request, obj, form, change)
        for phase in models.Phase.objects.filter(submissions__team=obj.pk).distinct():
            task_queue.enqueue_board(phase.pk)

    @transaction.atomic
    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The members, and then who of them is the captain."""
        super().save_related(request, form, formsets, change)
        team, chosen = form.instance, form.cleaned_data.get("captain")
        if chosen is None or not team.memberships.filter(user=chosen).exists():
            return
        captaincy.set_captain(team, chosen, by=organiser_of(request), why=reason_of(request))


@admin.register(models.Invitation)
class InvitationAdmin(ReadOnly):
    """Invitations to teams, and what became of them. Nobody can join by what is shown here."""

    list_display = ("team", "email", "invited_by", "state", "sent_at", "sends", "expires_at", "ended_at")
    list_filter = ("state",)
    search_fields = ("team__name", "email")
    named = {"team": models.Team.objects.all(), "invited_by": models.User.objects.all()}
    exclude = ("token_hash",)


@admin.register(models.TeamApproval)
class TeamApprovalAdmin(ReadOnly, Decisions):
    """Which teams may take part in phases for which organisers approve teams."""

    list_display = ("team", "phase", "state", "asked_at", "decided_at", "reason", "asked_by", "decided_by")
    list_filter = ("state", "phase")
    search_fields = ("team__name",)
    named = {
        "team": models.Team.objects.all(),
        "phase": models.Phase.objects.all(),
        "asked_by": models.User.objects.all(),
        "decided_by": models.User.objects.all(),
    }
    actions = ("approve", "refuse")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """The list's actions alone change something."""
        return obj is None and request.user.has_perm("leaderboard.change_teamapproval")

    @admin.action(description="Approve (the team is told, with the reason if you give one)", permissions=["change"])
    def approve(self, request: HttpRequest, chosen: QuerySet[models.TeamApproval]) -> None:
        """The team may hand in."""
        self.decide(request, chosen, approvals.approve, "approved, and the team is told")

    @admin.action(description="Do not approve (the team is told the reason)", permissions=["change"])
    def refuse(self, request: HttpRequest, chosen: QuerySet[models.TeamApproval]) -> None:
        """The team may not hand in."""
        self.decide(request, chosen, approvals.refuse, "not approved, and the team is told why")


class PersonForm(UserChangeForm):
    """A person's row, with a line for the reason of the change."""

    why = reason_field()

    def clean_is_active(self) -> bool:
        """Not off for the last owner."""
        is_active: bool = self.cleaned_data["is_active"]
        if not is_active:
            try:
                roles.keep_an_owner()
                roles.refuse_last_owner(models.User.objects.get(pk=self.instance.pk))
            except Refused as refusal:
                raise forms.ValidationError(str(refusal)) from None
        return is_active

    def clean_name(self) -> str:
        """No address of a page, unless it was there before."""
        name: str = self.cleaned_data["name"]
        if name != self.initial.get("name"):
            check_no_link(name)
        return name


class NewPersonForm(AdminUserCreationForm):
    """Somebody new: by address and name. What Django calls a user name nobody sees here."""

    why = reason_field()

    class Meta:
        model = models.User
        fields = ("email", "name")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.username = f"made-{secrets.token_hex(8)}"

    def clean_email(self) -> str:
        """An address that is nobody's yet."""
        email = sign_in.normalised(self.cleaned_data["email"])
        if EmailAddress.objects.filter(email__iexact=email, verified=True).exists():
            raise forms.ValidationError("Somebody has an account with this address.")
        return email

    def clean_name(self) -> str:
        """No address of a page."""
        name = one_line(self.cleaned_data["name"])
        check_no_link(name)
        return name


@admin.register(models.User)
class PersonAdmin(Recorded, UserAdmin):
    """People. Roles are given at the desk, by owners; who has one is changed here by owners alone."""

    form = PersonForm
    add_form = NewPersonForm
    list_display = ("email", "name", "affiliation", "role", "is_active", "date_joined")
    list_filter = ("role", "is_active")
    search_fields = ("email", "name", "affiliation")
    ordering = ("email",)
    # Checked where people give them, or written by the server.
    readonly_fields = ("country", "orcid", "role_now", "last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "username", "password")}),
        ("Profile", {"fields": ("name", "affiliation", "country", "orcid")}),
        ("Role", {"fields": ("role_now", "is_active")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
        ("This change", {"fields": ("why",)}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2", "why")}),)
    filter_horizontal = ()
    actions = ("remove_second_factors",)
    action_form = ReasonForm

    @admin.display(description="role")
    def role_now(self, person: models.User) -> str:
        """The role, and for owners where it is set."""
        role = person.current_role
        words = role.label if role else "None"
        if not person.pk:
            return words
        return format_html(
            '{} (<a href="{}?on={}">set it at the desk</a>)', words, reverse("act", args=["set-role"]), person.pk
        )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this one may change that one."""
        return _may_manage(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Likewise."""
        return _may_manage(request, obj) and super().has_delete_permission(request, obj)

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Model, form: forms.ModelForm, change: bool) -> None:
        """Save; whoever adds somebody vouches for the address."""
        super().save_model(request, obj, form, change)
        if not change:
            addresses.confirm(cast(models.User, obj))

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Not the last owner."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except Refused as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return redirect("admin:leaderboard_user_change", object_id)

    @admin.action(description="Remove second factors (lost phone or key)", permissions=["change"])
    def remove_second_factors(self, request: HttpRequest, chosen: QuerySet[models.User]) -> None:
        """Let somebody in by the password alone again. The person's sessions go on."""
        for person in chosen:
            if not self.has_change_permission(request, person):
                self.message_user(request, f"{person}: this is for owners.", messages.WARNING)
                continue
            with transaction.atomic():
                kinds = sorted(Authenticator.objects.filter(user=person).values_list("type", flat=True))
                Authenticator.objects.filter(user=person).delete()
                if kinds:
                    account_mails.tell_of("factors_removed", person)
                    audit.record(
                        *(organiser_of(request), "remove second factors", person),
                        before={"factors": kinds},
                        why=reason_of(request),
                    )

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Delete, and name the person no more: not in the record either."""
        person, number = cast(models.User, obj), obj.pk
        roles.keep_an_owner()
        roles.refuse_last_owner(person)
        ending.let_go(person)
        super().delete_model(request, obj)
        person.pk = number
        audit.forget(person)

    @transaction.atomic
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        """Setting somebody's password, or taking it away, is a decision, too."""
        if request.method != "POST":
            return super().user_change_password(request, id, form_url)
        before = models.User.objects.filter(pk=id).first()
        response = super().user_change_password(request, id, form_url)
        after = models.User.objects.filter(pk=id).first()
        if before and after and before.password != after.password:
            action = "set password" if after.has_usable_password() else "disable password"
            sign_in.forgive(after.email)
            account_mails.tell_of("password_of_organisers", after)
            audit.record(organiser_of(request), action, after)
        return response


def _may_manage(request: HttpRequest, person: models.User | None) -> bool:
    """Whether who asks may change how this person gets in; None: anybody."""
    return person is None or roles.may_manage(cast(models.User, request.user), person)


# Secrets, what follows from the settings, and groups, which give nothing here: roles do. Somebody's lost second factor
# is removed on the page of the person.
admin.site.unregister((Authenticator, SocialAccount, SocialApp, SocialToken, UserSession))
admin.site.unregister(Group)


admin.site.unregister(EmailAddress)


@admin.register(EmailAddress)
class RecordedEmailAddressAdmin(Recorded, EmailAddressAdmin):
    """The addresses by which people sign in. Of whoever has a role, owners alone change them."""

    # An address that were moved to an owner's account would let its reader in there.
    readonly_fields = ("user",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """To whose account, is written in the form: for owners alone."""
        return roles.has_role(cast(models.User, request.user), Role.OWNER)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Whose it is, is chosen once."""
        return self.readonly_fields if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this one may change how that one gets in."""
        return _may_manage(request, obj and obj.user) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Likewise."""
        return _may_manage(request, obj and obj.user) and super().has_delete_permission(request, obj)

    actions = ("make_verified",)
    action_form = ReasonForm

    @admin.action(description="Mark as verified", permissions=["change"])
    def make_verified(self, request: HttpRequest, chosen: QuerySet[EmailAddress]) -> None:
        """Take an organiser's word for it."""
        for address in chosen.filter(verified=False).select_related("user"):
            if not self.has_change_permission(request, address):
                self.message_user(request, "This is for owners.", messages.WARNING)
                continue
            with transaction.atomic():
                super().make_verified(request, EmailAddress.objects.filter(pk=address.pk))
                after = {"verified": EmailAddress.objects.get(pk=address.pk).verified}
                if after["verified"]:
                    audit.record(
                        organiser_of(request),
                        "verify address",
                        address,
                        before={"verified": False},
                        after=after,
                        why=reason_of(request),
                    )
