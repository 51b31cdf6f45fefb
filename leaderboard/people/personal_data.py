"""What the server knows of a person: as the person takes it along, and what becomes of it when the account ends.

`ENDS` and `STAYS` name every row that refers to a person; a test holds them to the database's own foreign keys.
"""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Lower

from leaderboard.core import clock
from leaderboard.models import (
    ApiToken,
    AuditEntry,
    DataAcceptance,
    Draft,
    Handover,
    Invitation,
    Membership,
    NoticeStop,
    Objection,
    OutgoingMail,
    PreRegistration,
    RefusedAddress,
    RulesAcceptance,
    Submission,
    TeamApproval,
    User,
)
from leaderboard.people.addresses import all_of
from leaderboard.people.profile import FIELDS

ENDS = {
    "account.EmailAddress.user": "email addresses",
    "admin.LogEntry.user": "the administration’s list of recent actions",
    "leaderboard.ApiToken.user": "API tokens",
    "leaderboard.DataAcceptance.user": "which terms of data were accepted",
    "leaderboard.Handover.offered_by": "a captaincy that was offered",
    "leaderboard.Handover.to": "a captaincy that was offered",
    "leaderboard.Membership.user": "the place in a team",
    "leaderboard.NoticeStop.user": "which notices were stopped",
    "leaderboard.PhaseChanges.by": "changes of phases that were prepared",
    "leaderboard.RulesAcceptance.user": "which rules were accepted",
    "leaderboard.User_groups.user": "groups of organisers",
    "leaderboard.User_user_permissions.user": "permissions of organisers",
    "mfa.Authenticator.user": "authenticator apps, passkeys, recovery codes",
    "socialaccount.SocialAccount.user": "connected accounts",
    "usersessions.UserSession.user": "sessions",
}
STAYS = {
    "leaderboard.Draft.created_by": "what a team prepares",
    "leaderboard.Draft.submitted_by": "what a team prepares",
    "leaderboard.Equality.looked_by": "what organisers looked at",
    "leaderboard.Invitation.accepted_by": "what became of a team’s invitations",
    "leaderboard.Invitation.invited_by": "what became of a team’s invitations",
    "leaderboard.Objection.by": "what a team objected to",
    "leaderboard.LikelyDouble.settled_by": "what organisers looked at",
    "leaderboard.Submission.submitted_by": "what a team submitted",
    "leaderboard.Team.join_link_made_by": "a team’s link",
    "leaderboard.TeamApproval.asked_by": "whether a team was approved",
    "leaderboard.TeamApproval.decided_by": "whether a team was approved",
}


def mails_to(user: User) -> QuerySet[OutgoingMail]:
    """Every message that is kept to one of the person's addresses."""
    return _at_addresses_of(user, OutgoingMail, "to")


def by_address(user: User) -> list[QuerySet[Any]]:
    """Every row that names one of the person's addresses, and no account."""
    named = ((OutgoingMail, "to"), (Invitation, "email"), (PreRegistration, "email"), (RefusedAddress, "email"))
    return [_at_addresses_of(user, model, field) for model, field in named]


def _at_addresses_of(user: User, model: type[Model], field: str) -> QuerySet[Any]:
    """Addresses are compared in one spelling, whatever the row has."""
    rows = model._default_manager.annotate(address=Lower(field))
    return rows.filter(address__in=all_of(user))


def of(user: User) -> dict[str, Any]:
    """Everything that is kept of a person, but for secrets (passwords, keys, codes), as JSON holds it."""
    return {
        "exported_at": clock.now(),
        "account": {
            **{field: getattr(user, field) for field in FIELDS},
            "email": user.email,
            "joined_at": user.date_joined,
            "last_signed_in_at": user.last_login,
            "role": user.role or None,
            "is_organiser": user.holds_role,
        },
        "email_addresses": list(EmailAddress.objects.filter(user=user).values("email", "verified", "primary")),
        "rules_accepted": list(RulesAcceptance.objects.filter(user=user).values("version", "accepted_at")),
        "data_terms_accepted": list(
            DataAcceptance.objects.filter(user=user).values("terms__case_set__name", "terms__version", "accepted_at")
        ),
        "notices_stopped": list(NoticeStop.objects.filter(user=user).values("kind", "at")),
        "api_tokens": list(
            ApiToken.objects.filter(user=user).values("name", "scopes", "created_at", "expires_at", "last_used_on")
        ),
        "team": list(Membership.objects.filter(user=user).values("team__name", "is_captain", "joined_at")),
        "invitations_sent": list(
            Invitation.objects.filter(invited_by=user).values("team__name", "email", "sent_at", "state")
        ),
        "invitations_received": list(
            _at_addresses_of(user, Invitation, "email").values("team__name", "email", "sent_at", "state")
        ),
        "invitations_accepted": list(Invitation.objects.filter(accepted_by=user).values("team__name", "ended_at")),
        "captaincy_offered": list(
            Handover.objects.filter(Q(to=user) | Q(offered_by=user)).values("team__name", "offered_at")
        ),
        "approvals_asked_for": list(
            TeamApproval.objects.filter(asked_by=user).values("team__name", "phase__slug", "asked_at", "state")
        ),
        "pre_registration": list(
            _at_addresses_of(user, PreRegistration, "email").values("email", "asked_at", "confirmed_at", "told_at")
        ),
        "refused_addresses": list(_at_addresses_of(user, RefusedAddress, "email").values("email", "refused_at")),
        "submissions": list(
            Submission.objects.filter(submitted_by=user)
            .order_by("pk")
            .values("pk", "team__name", "phase__slug", "algorithm", "accepted_at", "shows_submitter")
        ),
        "objections": list(Objection.objects.filter(by=user).values("decision__submission", "at", "text")),
        "drafts": list(
            Draft.objects.filter(Q(created_by=user) | Q(submitted_by=user))
            .order_by("created_at")
            .values("pk", "phase__slug", "created_at", "submitted_at", "words")
        ),
        "second_factors": [_factor(one) for one in Authenticator.objects.filter(user=user)],
        "connected_accounts": list(
            SocialAccount.objects.filter(user=user).values("provider", "uid", "date_joined", "last_login")
        ),
        "sessions": list(UserSession.objects.filter(user=user).values("created_at", "ip", "user_agent")),
        "messages": list(mails_to(user).order_by("pk").values("to", "subject", "created_at", "ended_at", "state")),
        "decisions": list(AuditEntry.objects.filter(user_id=user.pk).values("at", "action", "target_type", "target")),
    }


def _factor(one: Authenticator) -> dict[str, Any]:
    """A second factor without what it is made of."""
    name = one.wrap().name if one.type == Authenticator.Type.WEBAUTHN else ""
    return {"type": one.type, "name": name, "created_at": one.created_at, "last_used_at": one.last_used_at}
