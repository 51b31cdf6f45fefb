"""What people type. Limits come from admission and the models; every refusal is a sentence at its field."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import HttpRequest

from leaderboard.core.text import check_address, check_no_link, one_line
from leaderboard.models import Invitation, Team, User
from leaderboard.people.names import skeleton
from leaderboard.people.profile import NAMELESS


class WithNames(forms.Form):
    """A form with a name and an affiliation, which others read in mails: no address of a page is in them.

    kept: what they were before, and may stay.
    """

    def __init__(self, *args: Any, kept: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kept = kept or {}

    def clean(self) -> dict[str, Any]:
        """Look at both."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for field in ("name", "affiliation"):
            if cleaned.get(field) and cleaned[field] != self.kept.get(field):
                try:
                    check_no_link(cleaned[field])
                except forms.ValidationError as error:
                    self.add_error(field, error)
        return cleaned


class PersonForm(WithNames):
    """What a person is called, and where they work."""

    name = forms.CharField(
        max_length=120,
        label="Your name",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    affiliation = forms.CharField(
        max_length=User._meta.get_field("affiliation").max_length,
        required=False,
        label="Affiliation",
        help_text="Your institution.",
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )

    def clean_name(self) -> str:
        """A name that is seen."""
        name: str = self.cleaned_data["name"]
        if not skeleton(one_line(name)):
            raise forms.ValidationError(NAMELESS)
        return name


class SignupForm(PersonForm):
    """What registration asks for beside an address and a password. allauth builds its own form on top of this one."""

    field_order = ("name", "affiliation", "email", "password1", "password2")

    def signup(self, request: HttpRequest, user: User) -> None:
        """Called by allauth once the account exists."""
        user.name = one_line(self.cleaned_data["name"])
        user.affiliation = one_line(self.cleaned_data["affiliation"])
        user.save(update_fields=["name", "affiliation"])


class AddressForm(forms.Form):
    """To be told by email when registration opens."""

    email = forms.EmailField(
        max_length=254,
        label="Email address",
        validators=[check_address],
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )


class TeamForm(WithNames):
    """To found a team."""

    name = forms.CharField(
        max_length=Team._meta.get_field("name").max_length,
        label="Team name",
        help_text="Shown on the leaderboard.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    affiliation = forms.CharField(
        max_length=Team._meta.get_field("affiliation").max_length,
        required=False,
        label="Institutions",
        help_text="Shown beside the name.",
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )


class InvitationForm(forms.Form):
    """To invite somebody to a team by mail."""

    email = forms.EmailField(
        max_length=Invitation._meta.get_field("email").max_length,
        label="Email address",
        help_text="The message says who invites to which team, and what joining means.",
        validators=[check_address],
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )


class CodeForm(forms.Form):
    """To join a team by the code that its captain handed out: the code itself, or the whole link."""

    code = forms.CharField(
        max_length=300,
        label="Code or link",
        help_text="Your captain finds both on the team’s page.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_code(self) -> str:
        """The code alone."""
        code: str = self.cleaned_data["code"].strip().rstrip("/").rsplit("/", 1)[-1]
        if not code.replace("-", "").replace("_", "").isalnum() or not code.isascii():
            raise forms.ValidationError("This is not a code. It has letters, digits, “-” and “_” only.")
        return code
