"""Which half was drawn, said in a way that can be told from the start and checked later.

The *opening* is a text that says of each case on which side it is, without its name:

    rexgrounding public half, version 1
    case set <64 hexadecimal digits>
    cases 300, public 150
    <64 hexadecimal digits> public
    <64 hexadecimal digits> withheld
    ...

A case is named by its *tag*, HMAC-SHA256 of the secret over `case ` and its name, and the set by that over `set ` and
its digest; lines are in the order of the tags, so a case's place tells nothing either. The *commitment* is the SHA-256
of that text. It is told from the start. The text is told at the reveal, to everybody: it shows that the half is the one
of before, and no name of a hidden case. The secret and the names stay with organisers: by the secret anybody could try
which names give the tags.

Nobody finds another half for the same commitment (SHA-256), nor other names or another secret for the same tags (HMAC);
and as long as nobody has the secret, the commitment tells nothing.
"""

import hashlib
import hmac
from collections.abc import Collection, Iterable

SECRET_BYTES = 32
PUBLIC, WITHHELD = "public", "withheld"
_HEAD = "rexgrounding public half, version 1"


def tag(secret: bytes, name: str, kind: str = "case") -> str:
    """What stands for a case, or for the digest of a "set", in the opening: 64 hexadecimal digits."""
    return hmac.digest(secret, f"{kind} {name}".encode(), "sha256").hex()


def opening(secret: bytes, names: Iterable[str], half: Collection[str], digest: str) -> str:
    """The text that is committed to; `digest` is that of the case set."""
    sides = sorted((tag(secret, name), PUBLIC if name in half else WITHHELD) for name in names)
    public = sum(side == PUBLIC for _, side in sides)
    head = (_HEAD, f"case set {tag(secret, digest, 'set')}", f"cases {len(sides)}, public {public}")
    return "".join(f"{line}\n" for line in (*head, *(f"{name} {side}" for name, side in sides)))


def commitment_to(text: str) -> str:
    """The commitment to an opening: "sha256:" and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
