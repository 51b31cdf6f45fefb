"""Who runs the challenge: viewers see everything and change nothing, organisers act, owners choose who does either."""

from django.db import transaction
from django.db.models import Q, QuerySet

from leaderboard.core import audit, locks
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.models import User
from leaderboard.people import account_mails
from leaderboard.people.addresses import is_confirmed
from leaderboard.states import Role

RANKS = (Role.VIEWER, Role.ORGANISER, Role.OWNER)
NONE = "none"
FIELDS = ("role", "is_staff", "is_superuser")
LAST_OWNER = "There is no other owner. Make somebody else one first."
_LOCK = "ends of accounts"


def has_role(user: User, least: Role) -> bool:
    """Whether the person has this role, or one that may do more."""
    role = user.current_role
    return role is not None and RANKS.index(role) >= RANKS.index(least)


def may_manage(by: User, person: User) -> bool:
    """Whether `by` may change how `person` gets in: who could do that to an organiser would become one."""
    return has_role(by, Role.OWNER) or (has_role(by, Role.ORGANISER) and not person.holds_role)


def who_act() -> QuerySet[User]:
    """Organisers and owners, as `User.current_role` says it of one."""
    may_act = Q(is_superuser=True) | Q(is_staff=True, role__in=(Role.ORGANISER, Role.OWNER))
    return User.objects.filter(may_act, is_active=True)


@transaction.atomic
def set_role(person: User, *, by: Actor, why: str, role: str) -> None:
    """Give a person another role, or none. Refused for the last owner, and for an account that nobody can enter."""
    keep_an_owner()
    person = User.objects.select_for_update().get(pk=person.pk)
    if role != Role.OWNER:
        refuse_last_owner(person)
    if role != NONE:
        _check_reachable(person)
    old = User.objects.get(pk=person.pk)
    person.role = "" if role == NONE else Role(role)
    person.is_staff, person.is_superuser = bool(person.role), person.role == Role.OWNER
    if audit.record_change(by, "set role", old, person, fields=FIELDS, why=why):
        person.save(update_fields=FIELDS)
        account_mails.tell_of("role_set", person, {"role": person.get_role_display() or "none"})


def keep_an_owner() -> None:
    """From now to the end of this transaction nobody else ends a role or an account: of two last owners one stays."""
    locks.one_at_a_time(_LOCK)


def refuse_last_owner(person: User) -> None:
    """Raise Refused where nobody would be left who may give roles. After `keep_an_owner`, if something follows."""
    if not person.is_superuser or not person.is_active:
        return
    if not User.objects.filter(is_superuser=True, is_active=True).exclude(pk=person.pk).exists():
        raise Refused(LAST_OWNER)


def _check_reachable(person: User) -> None:
    if not person.is_active:
        raise Refused("This account is switched off.")
    if not is_confirmed(person):
        raise Refused("Nobody has confirmed this account’s email address: it may be somebody else’s.")
