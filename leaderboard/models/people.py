"""Who takes part: people, teams, memberships, and which version of the rules each person accepted."""

import secrets

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower

from leaderboard.models.powers import Powers
from leaderboard.states import Role


def new_join_code() -> str:
    """A code that a captain hands to a team-mate: 80 random bits, no look-alike characters problem in URLs."""
    return secrets.token_urlsafe(10)


class User(Powers):
    """A person. Signs in by email address; `username` is an internal name that nobody sees."""

    email = models.EmailField("email address", unique=True)
    name = models.CharField("name", max_length=120, blank=True)
    affiliation = models.CharField(max_length=200, blank=True)
    country = models.CharField(max_length=2, blank=True, default="", db_default="", help_text="its code in ISO 3166")
    orcid = models.CharField(
        "ORCID iD", max_length=19, blank=True, default="", db_default="", help_text="like 0000-0002-1825-0097"
    )

    role = models.CharField(
        max_length=10,
        choices=Role.choices,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="Empty for everybody who only takes part.",
    )

    class Meta(Powers.Meta):
        abstract = False
        constraints = [models.UniqueConstraint(Lower("email"), name="one_account_per_email")]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def team(self) -> "Team | None":
        """The person's team; a person is in at most one."""
        return next(iter(Team.objects.filter(memberships__user=self)[:1]), None)


class Team(models.Model):
    """A team that submits. Quotas, standings and visibility are a team's, never a person's."""

    name = models.CharField(max_length=60)
    slug = models.SlugField(max_length=60, unique=True)
    affiliation = models.CharField("institutions", max_length=200, blank=True)
    join_code = models.CharField(max_length=32, unique=True, default=new_join_code)
    join_link_is_on = models.BooleanField(
        "can be joined by its link", default=True, db_default=True, help_text="A captain switches it off and on."
    )
    join_link_made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    join_link_made_at = models.DateTimeField(null=True, blank=True, editable=False)
    # What the name looks like (people/names.py). None: founded before names were compared, beside one that looks alike,
    # or by code of before while the server was upgraded.
    skeleton = models.TextField(null=True, unique=True, editable=False)  # noqa: DJ001  no two are equal but for None
    is_of_organisers = models.BooleanField(
        "of the organisers",
        default=False,
        db_default=False,
        help_text="Boards show its runs, marked, without a rank: it moves no other team and wins no award.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(Lower("name"), name="one_team_per_name")]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's place in a team. One team per person; one captain per team."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="membership")
    is_captain = models.BooleanField(default=False)
    joined_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team"], condition=models.Q(is_captain=True), name="one_captain_per_team")
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.team}"


class RulesAcceptance(models.Model):
    """That a person accepted a version of the rules, and when."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="rules_acceptances")
    version = models.CharField(max_length=20)
    accepted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "version"], name="one_acceptance_per_version")]

    def __str__(self) -> str:
        return f"{self.user} accepted rules {self.version}"


class Throttle(models.Model):
    """How often something was tried lately that may not be tried at will (people/throttle.py)."""

    key = models.CharField(max_length=64, primary_key=True, help_text="a hash of what is tried, on what, from where")
    account = models.CharField(max_length=64, blank=True, db_index=True, help_text="a hash of the account's address")
    level = models.FloatField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.level:.1f} at {self.at:%Y-%m-%d %H:%M:%S}"
