"""manage.py changepassword: Django's own, and the record of decisions says that it was used."""

import getpass
from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.db import transaction

from leaderboard.core import audit
from leaderboard.core.audit import Actor
from leaderboard.models import User
from leaderboard.people import sign_in


class Command(changepassword.Command):
    """Sets somebody's password."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        """Ask, set, record; no transaction is open while a person types."""
        said: str | None = super().handle(*args, **options)
        name = options["username"] or getpass.getuser()  # as Django chooses
        with transaction.atomic():
            user = User.objects.get(username=name)
            sign_in.forgive(user.email)
            audit.record(Actor.command_line(), "set password", user)
        return said
