"""The home of an image's user, as an engine would find it in the image's /etc/passwd."""

import posixpath
import re
from typing import Final

#: A longer /etc/passwd is not read.
PASSWD_BYTES: Final = 256 << 10

_ROOT: Final = 0
_ROOT_HOME: Final = "/root"
_NO_HOME: Final = "/"
_PATH_BYTES: Final = 4095
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,10}")


def normal_home(home: str) -> str:
    """An absolute path without what only looks different: `/home/user/`, `//home/./user`."""
    return posixpath.normpath("/" + home.lstrip("/"))


def is_root(user: str) -> bool:
    """Whether USER of an image is root, going by the text alone."""
    name = user.partition(":")[0]
    return name in ("", "root") or (_NUMBER.fullmatch(name) is not None and int(name) == _ROOT)


def home_of(user: str, passwd: bytes | None) -> str:
    """The home of USER (`name`, `number`, or either with `:group`; empty is root).

    An engine turns a name into its number and then takes the home of the first user who has that number. Without an
    entry the home is /, root's is /root; one that is no absolute path is /.
    """
    users = _users(passwd or b"")
    name = user.partition(":")[0]
    number: int | None = _ROOT
    if _NUMBER.fullmatch(name):
        number = int(name)
    elif name:
        number = next((number for known, number, _ in users if known == name), _ROOT if name == "root" else None)
    home = next((home for _, known, home in users if known == number), None)
    if home is None:
        return _ROOT_HOME if number == _ROOT else _NO_HOME
    is_path = home.startswith("/") and "\0" not in home and len(home.encode()) <= _PATH_BYTES
    return normal_home(home) if is_path else _NO_HOME


def _users(passwd: bytes) -> list[tuple[str, int, str]]:
    """Name, number and home of each user; lines that are no such thing are passed over."""
    users = []
    for line in passwd.decode("utf-8", "replace").split("\n"):
        fields = line.strip().split(":")
        if len(fields) >= 3 and re.fullmatch(r"[0-9]{1,10}", fields[2]):
            users.append((fields[0], int(fields[2]), fields[5] if len(fields) > 5 else ""))
    return users
