"""From where a request comes: its network address, and whether the device signed in here before."""

import ipaddress
import secrets
from typing import Any

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from leaderboard.people.sign_in import normalised

COOKIE = "rexg_device"
SALT = "rexg.device"
KEPT_SECONDS = 400 * 24 * 3600  # browsers keep nothing for longer
MOST_ACCOUNTS = 8  # of one device; the cookie stays short
IPV6_PREFIX = 64  # what one customer has


def address_of(request: HttpRequest) -> str:
    """The client's address as limits count it; of IPv6 the network. Only our own proxy is believed who it asks for."""
    try:
        address = ipaddress.ip_address(get_adapter().get_client_ip(request))
    except ValueError:
        return "unknown"
    if address.is_unspecified:  # a client at our own socket
        return "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, IPV6_PREFIX), strict=False))


def device_of(request: HttpRequest, email: str) -> str:
    """The name of a device on which this address signed in before; empty for every other one."""
    user = request.user
    if user.is_authenticated and normalised(user.email) == normalised(email):
        return f"session {request.session.session_key}"
    known = _read(request)
    return str(known["device"]) if _mark(email) in known["accounts"] else ""


def remember_device(request: HttpRequest, response: HttpResponse, email: str) -> None:
    """Let the device be known from now on as one on which this address signed in."""
    known = _read(request)
    accounts = [_mark(email), *(one for one in known["accounts"] if one != _mark(email))]
    response.set_cookie(
        COOKIE,
        signing.dumps({"device": known["device"], "accounts": accounts[:MOST_ACCOUNTS]}, salt=SALT),
        max_age=KEPT_SECONDS,
        secure=settings.IS_HTTPS,
        httponly=True,
        samesite="Lax",
    )


def _read(request: HttpRequest) -> dict[str, Any]:
    """What the cookie says, if we wrote it; a new device otherwise."""
    try:
        known: dict[str, Any] = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=KEPT_SECONDS)
    except signing.BadSignature:
        return {"device": secrets.token_hex(16), "accounts": []}
    return known


def _mark(email: str) -> str:
    return salted_hmac(SALT, normalised(email), algorithm="sha256").hexdigest()[:20]
