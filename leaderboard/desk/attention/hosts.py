"""Hosts that a person should look at: silent, in trouble, at fault again and again, short of disk."""

from collections.abc import Iterator
from datetime import datetime

from django.urls import reverse

from containers.protocol.sizes import decimal_size
from leaderboard.challenge import maintenance
from leaderboard.desk.acts.hosts import DRAIN, REVOKE, STOP
from leaderboard.desk.attention.items import Item, Urgency
from leaderboard.operations.host_states import HostNow, hosts_now

MANY_FAULTS = 3  # within an hour
VERY_LOW_BYTES = 5 * 10**9


def troubled(at: datetime) -> Iterator[Item]:
    """Each host with the worst that is wrong with it; in a pause for maintenance nobody misses one."""
    known = hosts_now(at)
    in_pause = any(one.is_missed for one in known) and maintenance.is_on(at)
    for one in known:
        if one.is_missed:
            if not in_pause:
                yield _silent(one)
        elif one.host.revoked_at is None and (item := _in_trouble(one) or _faulty(one) or _low(one)):
            yield item


def _links(one: HostNow) -> list[tuple[str, str]]:
    return [("Look at it", reverse("desk_host", args=[one.host.name]))]


def _silent(one: HostNow) -> Item:
    runs = ", ".join(str(work.submission) for work in one.work)
    had = f" It had runs {runs} at work." if runs else " What it had went to other hosts." if one.host.slots else ""
    said = f" Its last word: {one.host.trouble[:200]}" if one.host.trouble else ""
    return Item(
        Urgency.NOW,
        "bad",
        "Host silent",
        f"{one.host.name} does not answer.{had}",
        f"Nothing is lost but its slots: the rest goes on elsewhere within a lease. Look at the worker's log there; "
        f"stop it to give its work back at once, and revoke what is gone for good.{said}",
        since=one.host.seen_at,
        acts=[(STOP, one.host), (REVOKE, one.host)],
        links=_links(one),
    )


def _in_trouble(one: HostNow) -> Item | None:
    if not one.in_trouble:
        return None
    what = one.host.trouble[:200] or "It has not said for a lease what it offers: its container engine may hang."
    return Item(
        Urgency.NOW,
        "warn",
        "Host in trouble",
        f"{one.host.name}: {what}",
        "It goes on by itself when this is mended. Until then it offers less than it has, or nothing.",
        since=one.host.hello_at if one.is_mute else None,
        acts=[(DRAIN, one.host), (STOP, one.host)],
        links=_links(one),
    )


def _faulty(one: HostNow) -> Item | None:
    if one.faults_last_hour < MANY_FAULTS or one.host.draining:
        return None
    return Item(
        Urgency.NOW,
        "warn",
        "Faults",
        f"{one.host.name} was at fault {one.faults_last_hour} times within the hour.",
        "Each interrupts a run, and a run that is interrupted too often waits for you. Its attempts say what happened.",
        acts=[(DRAIN, one.host), (STOP, one.host)],
        links=_links(one),
    )


def _low(one: HostNow) -> Item | None:
    if not one.is_low or one.host.free_bytes is None:
        return None
    is_very_low = one.host.free_bytes < VERY_LOW_BYTES
    return Item(
        Urgency.NOW if is_very_low else Urgency.LATER,
        "bad" if is_very_low else "warn",
        "Disk",
        f"{one.host.name} has {decimal_size(one.host.free_bytes)} free on its disk.",
        "Runs that need more fail there by our fault. Drain it, remove what is not ours, or use a larger disk.",
        acts=[(DRAIN, one.host)],
        links=_links(one),
    )
