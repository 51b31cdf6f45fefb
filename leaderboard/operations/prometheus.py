"""The snapshot as metrics for Prometheus.

Every value is read from the database when it is asked for, so all are gauges of a registry that lives for one request:
the client library's usual registry counts inside a process, of which a web server has several. No team and no case is
named.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector

from leaderboard.operations.health import Snapshot

__all__ = ["CONTENT_TYPE", "render"]

Labels = dict[str, str]
Sample = tuple[Labels, float | None]


def render(snapshot: Snapshot) -> bytes:
    """All metrics in Prometheus' text form; a value that is not known is left out."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_SnapshotCollector(snapshot))
    return generate_latest(registry)


class _SnapshotCollector(Collector):
    """Hands the snapshot to the client library."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, what, samples in _families(self._snapshot):
            known = [(labels, value) for labels, value in samples if value is not None]
            family = GaugeMetricFamily(f"rexg_{name}", what, labels=list(known[0][0]) if known else [])
            for labels, value in known:
                family.add_metric(list(labels.values()), float(value))
            yield family


def _families(snapshot: Snapshot) -> Iterable[tuple[str, str, list[Sample]]]:
    facts = snapshot.facts
    yield "check", "0 ok, 1 warning, 2 failing", [({"check": one.name}, one.level) for one in snapshot.checks]
    if not facts.database_answers:
        return
    ages = {
        "image": facts.oldest_image,
        "run": facts.oldest_run,
        "score": facts.oldest_score,
        "mail": facts.mails.oldest,
    }
    hosts = [({"host": host.name}, host) for host in facts.hosts]
    phases = [({"phase": phase.slug}, phase) for phase in facts.phases]
    yield (
        "pulse_age_seconds",
        "since a process showed life",
        [({"process": n}, a) for n, a in facts.heartbeat_ages.items()],
    )
    yield "host_silent_seconds", "since a host was heard of", [(label, host.silent_seconds) for label, host in hosts]
    yield "host_up", "heard of within a lease", [(label, host.is_alive) for label, host in hosts]
    yield "host_draining", "takes nothing new", [(label, host.draining) for label, host in hosts]
    yield "host_slots", "slots that a host offers", [(label, host.slots) for label, host in hosts]
    yield "host_slots_busy", "slots with a batch", [(label, host.busy) for label, host in hosts]
    yield "host_free_bytes", "free on a host's disk", [(label, host.free_bytes) for label, host in hosts]
    yield (
        "host_faults_last_hour",
        "attempts that failed by our fault",
        [(lb, host.faults_last_hour) for lb, host in hosts],
    )
    yield "free_slots", "slots that nobody is called to", [({}, facts.free_slots)]
    yield "images_to_check", "submissions at the check of their image", [(lb, phase.checking) for lb, phase in phases]
    yield "runs_queued", "runs that wait for a slot", [(label, phase.queued) for label, phase in phases]
    yield "runs_at_work", "runs that have begun", [(label, phase.at_work) for label, phase in phases]
    yield "runs_halted", "runs that we interrupted", [(label, phase.halted) for label, phase in phases]
    yield "backlog_seconds", "work that waits, on one slot", [(label, phase.backlog_seconds) for label, phase in phases]
    closing: list[Sample] = [(label, phase.closes_at.timestamp()) for label, phase in phases if phase.is_open]
    yield "phase_closes_timestamp_seconds", "deadline of an open phase", closing
    yield (
        "oldest_wait_seconds",
        "for how long the oldest one waits",
        [({"what": what}, age) for what, age in ages.items()],
    )
    yield "halted", "runs and checks interrupted by our fault", [({}, facts.halted)]
    yield "halted_for_organisers", "of these, not tried again by themselves", [({}, facts.stuck)]
    yield "leases", "batches at work", [({}, facts.leases)]
    yield "leases_ending", "leases that end soon", [({}, facts.leases_ending)]
    yield "leases_lost_last_hour", "hosts that went silent", [({}, facts.leases_lost_last_hour)]
    faults: list[Sample] = [({"code": code}, count) for code, count in sorted(facts.faults_last_day.items())]
    yield "faults_last_day", "interruptions by our fault", faults
    yield "uploads_in_progress", "archives that are being received", [({}, facts.uploads)]
    yield "mails_waiting", "messages in the outbox", [({}, facts.mails.waiting)]
    yield "mails_given_up_last_hour", "messages that could not be sent", [({}, facts.mails.given_up_last_hour)]
    yield "store_free_bytes", "free on the store's disk", [({}, facts.store_free_bytes)]
    yield "store_size_bytes", "size of the store's disk", [({}, facts.store_bytes)]
