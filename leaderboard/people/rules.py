"""The rules of the challenge, which each person accepts before a first submission; a new version asks again."""

from django.conf import settings

from leaderboard.models import RulesAcceptance, User


def accept_rules(user: User) -> None:
    """Record that the user accepted the present version of the rules; the first time counts."""
    RulesAcceptance.objects.get_or_create(user=user, version=settings.RULES_VERSION)


def has_accepted_rules(user: User) -> bool:
    """Whether the user accepted the version of the rules that is in force."""
    return RulesAcceptance.objects.filter(user=user, version=settings.RULES_VERSION).exists()
