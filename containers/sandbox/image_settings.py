"""What an image says about how to run it, as far as a container takes it over."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from containers.intake.home import normal_home

#: What the user is called whose image names none, or one that belongs to somebody else.
DEFAULT_USER_NAME: Final = "user"

_USER_NAME: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_TAKEN_NAMES: Final = ("root", "nobody")


@dataclass(frozen=True)
class ImageSettings:
    """The part of an image's configuration that its containers start from.

    `command` is ENTRYPOINT followed by CMD; `user` as USER has it (name or number, with or without a group).
    """

    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    working_dir: str = ""
    volumes: tuple[str, ...] = ()

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> "ImageSettings":
        """From the object "Config" by which an engine describes an image; what is not there is empty."""
        variables = [entry.partition("=") for entry in config.get("Env") or ()]
        return cls(
            command=(*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())),
            environment={name: value for name, _, value in variables},
            user=config.get("User") or "",
            working_dir=config.get("WorkingDir") or "",
            volumes=tuple(config.get("Volumes") or ()),
        )

    @property
    def home(self) -> str:
        """The home of the image's user, an absolute path.

        The intake writes it into the image's ENV. For an image of before, it is where home folders usually are.
        """
        home = self.environment.get("HOME", "")
        if home.startswith("/"):
            return normal_home(home)
        name = self.user.partition(":")[0]
        if name in ("", "0", "root"):
            return "/root"
        return "/" if name.isdigit() else f"/home/{name}"

    @property
    def user_name(self) -> str:
        """What the container's user is called: the image's USER where that is a name."""
        name = self.user.partition(":")[0]
        return name if _USER_NAME.fullmatch(name) and name not in _TAKEN_NAMES else DEFAULT_USER_NAME
