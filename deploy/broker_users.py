"""The broker's users: who may touch which keys. `python3 deploy/broker_users.py NAME` adds one, or renews its password.

The server's processes share one user, `server`. Every GPU host has a user of its own that reaches the keys of the
sandbox queue and nothing else. kombu keeps messages that were handed out and not yet acknowledged beside the queues,
in three keys of fixed names (`unacked...`), from which *any* consumer puts them back: a host that shared them with the
server could read the server's messages there, or place a control task. The server and the hosts therefore use
different ones (broker_transport_options of leaderboard/settings.py and containers/host/broker.py), and a host's
all begin with `sandbox`.

The file holds digests of random passwords, so it need not be secret. Plain Python, nothing to install.
"""

from __future__ import annotations

import argparse
import re
import secrets
import sys
from hashlib import sha256
from pathlib import Path

SERVER = "server"
DEFAULT_FILE = Path(__file__).with_name("broker-users.acl")
UNKNOWN_TO_REDIS_7_0 = " +client|setinfo"  # which this script once wrote
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
# What kombu's Redis transport sends for a consumer of one queue, and redis-py for its connection. A new version of
# either that needs more fails in tests/deploy/test_broker.py. redis-py also tells its own version (CLIENT SETINFO) and
# does without where it is refused: Redis 7.0, of Debian 12, does not start with a rule about a command it lacks.
HOST_COMMANDS = (
    *("ping", "select", "client|setname"),
    *("multi", "exec", "discard", "watch", "unwatch"),
    *("sadd", "brpop", "rpop", "lpush", "rpush", "llen"),
    *("hset", "hget", "hdel", "zadd", "zrem", "zrange"),
    *("set", "get", "del", "evalsha", "script|load"),  # the lock under which overdue messages are put back
)


def access_rule(user: str, password: str, instance: str) -> str:
    """The line of the ACL file for `server` or for the GPU host of this name."""
    digest = sha256(password.encode()).hexdigest()
    if user == SERVER:
        rights = "~* &* +@all -@admin -@dangerous +info"
    else:
        # A consumer registers its queue with an exchange; the server sends past all exchanges and never reads these.
        bindings = (f"%W~{instance}:_kombu.{kind}.sandbox" for kind in ("binding", "binding_permanent"))
        keys = " ".join((f"~{instance}:sandbox*", *bindings))
        rights = f"{keys} resetchannels -@all " + " ".join(f"+{command}" for command in HOST_COMMANDS)
    return f"user {user} on #{digest} {rights}"


def put_user(file: Path, user: str, password: str, instance: str) -> None:
    """Add a user to the ACL file, or replace it. Without a password nobody comes in: the default user is off."""
    lines = file.read_text().splitlines() if file.exists() else ["user default off"]
    kept = [line.replace(UNKNOWN_TO_REDIS_7_0, "") for line in lines if line.split()[:2] != ["user", user]]
    file.write_text("\n".join([*kept, access_rule(user, password, instance)]) + "\n")
    file.chmod(0o644)


def main() -> None:
    """Draw a password, write its digest, print the password."""
    parser = argparse.ArgumentParser(description="Add a user to the broker's ACL file, or give it a new password.")
    parser.add_argument("name", help=f"`{SERVER}`, or the name of a GPU host: small letters, digits, hyphens")
    parser.add_argument("--file", type=Path, default=DEFAULT_FILE, help=f"default: {DEFAULT_FILE}")
    parser.add_argument("--instance", default="rexg", help="REX_INSTANCE of the server and its hosts (default: rexg)")
    options = parser.parse_args()
    if not NAME.fullmatch(options.name) or options.name == "default":
        parser.error("a name consists of small letters, digits and single hyphens, and is not `default`")
    password = secrets.token_hex(32)
    put_user(options.file, options.name, password, options.instance)
    sys.stdout.write(f"{password}\n")


if __name__ == "__main__":
    main()
