"""What the server knows of a person: as the person takes it along, and what becomes of it when the account ends.

`ENDS` and `STAYS` name every row that refers to a person; a test holds them to the database's own foreign keys.
"""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.db.models import QuerySet

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
    OutgoingMail,
    PreRegistration,
    RefusedAddress,
    RulesAcceptance,
    Submission,
    TeamApproval,
    User,
)
from leaderboard.people.profile import FIELDS

ENDS = {
    "account.EmailAddress.user": "email addresses",
    "admin.LogEntry.user": "the administration’s list of recent actions",
    "leaderboard.Membership.user": "the place in a team",
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
    "leaderboard.Submission.submitted_by": "what a team submitted",
}


def mails_to(user: User) -> QuerySet[OutgoingMail]:
    """Every message that is kept to one of the person's addresses."""
    known = EmailAddress.objects.filter(user=user).values_list("email", flat=True)
    addresses = {user.email.lower(), *(address.lower() for address in known)}
    return OutgoingMail.objects.filter(to__iregex=r"^(" + "|".join(map(_literally, sorted(addresses))) + ")$")


def _literally(address: str) -> str:
    """An address as PostgreSQL's regular expressions take it for itself."""
    return "".join(letter if letter.isalnum() else f"\\{letter}" if letter.isascii() else letter for letter in address)


def of(user: User) -> dict[str, Any]:
    """Everything that is kept of a person, but for secrets (passwords, keys, codes), as JSON holds it."""
    return {
        "exported_at": clock.now(),
        "account": {
            **{field: getattr(user, field) for field in FIELDS},
            "email": user.email,
            "joined_at": user.date_joined,
            "last_signed_in_at": user.last_login,
            "is_organiser": user.is_staff,
        },
        "email_addresses": list(EmailAddress.objects.filter(user=user).values("email", "verified", "primary")),
        "rules_accepted": list(RulesAcceptance.objects.filter(user=user).values("version", "accepted_at")),
        "team": list(Membership.objects.filter(user=user).values("team__name", "is_captain", "joined_at")),
        "submissions": list(
            Submission.objects.filter(submitted_by=user)
            .order_by("pk")
            .values("pk", "team__name", "phase__slug", "algorithm", "accepted_at")
        ),
        "drafts": list(Draft.objects.filter(created_by=user).values("pk", "phase__slug", "created_at", "words")),
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
