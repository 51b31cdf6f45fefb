"""manage.py createsuperuser: Django's own, and the record of decisions says that it was used."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.db import transaction

from leaderboard.core import audit
from leaderboard.core.audit import Actor
from leaderboard.models import User
from leaderboard.people import addresses
from leaderboard.states import Role


class Command(createsuperuser.Command):
    """Makes an owner, who may do everything."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask, make, record; no transaction is open while a person types."""
        latest = User.objects.order_by("pk").last()
        super().handle(*args, **options)
        with transaction.atomic():
            for user in User.objects.filter(is_superuser=True, pk__gt=latest.pk if latest else 0):
                user.role = Role.OWNER
                user.save(update_fields=["role"])
                addresses.confirm(user)  # by the word of who may run this; the first one comes before any mail server
                powers = audit.state_of(user, ["role", "is_staff", "is_superuser"])
                audit.record(Actor.command_line(), "add user", user, after=powers)
