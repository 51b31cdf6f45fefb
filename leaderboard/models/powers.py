"""What an account may do beside taking part: by its role alone, also in the administration."""

from django.contrib.auth.models import AbstractUser

from leaderboard.states import Role

# In the administration's own tables, an organiser could write powers for themselves.
_OF_POWERS = frozenset({"auth"})


class Powers(AbstractUser):
    """An account with a role. Django's groups and permissions of single accounts give nothing more.

    Django's two flags follow the role, and count before it: an older server, which knows no roles, may have set or
    taken them while this one was put beside it.
    """

    class Meta(AbstractUser.Meta):
        abstract = True

    role: str

    @property
    def current_role(self) -> Role | None:
        """The role; None for everybody who only takes part, and for accounts that are switched off."""
        if not self.is_active:
            return None
        if self.is_superuser:
            return Role.OWNER
        if not self.is_staff:
            return None
        return Role.ORGANISER if self.role in (Role.ORGANISER, Role.OWNER) else Role.VIEWER

    @property
    def holds_role(self) -> bool:
        """Whether the account has a role, or would have one if it were switched on."""
        return bool(self.is_staff or self.is_superuser or self.role)

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Whether the role lets it: owners everything, organisers all but powers, viewers look."""
        match self.current_role:
            case None:
                return False
            case Role.OWNER:
                return True
        app, _, action = perm.partition(".")
        looks = action.startswith("view_")
        return looks or (self.current_role == Role.ORGANISER and app not in _OF_POWERS)

    def has_module_perms(self, app_label: str) -> bool:
        """Whether there is anything of an application to see."""
        return self.current_role is not None
