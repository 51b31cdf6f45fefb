"""What the facts mean: one check for each thing that has to work. Pure."""

from dataclasses import dataclass
from enum import IntEnum

from containers.protocol.sizes import decimal_size
from leaderboard.core import process_heartbeat
from leaderboard.models import Host
from leaderboard.operations.health.reading import Facts, HostFacts, PhaseFacts

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
SILENT_SECONDS = 60.0  # four beats
ROLES = (process_heartbeat.SWEEPER, "control", "scoring")
MANY_FAULTS = 10
MANY_REFUSED = 3
RECORD_WAITS_SECONDS = 10 * MINUTE


class Level(IntEnum):
    """How bad it is."""

    OK = 0
    WARNING = 1
    FAILING = 2


@dataclass(frozen=True)
class Check:
    """One thing that has to work. `says` is what is so and, unless it is ok, what to do."""

    name: str
    title: str
    level: Level
    says: str

    @property
    def kind(self) -> str:
        """The look of its state on the page."""
        return {Level.OK: "ok", Level.WARNING: "warn", Level.FAILING: "bad"}[self.level]

    @property
    def word(self) -> str:
        """Its level as people read it."""
        return self.level.name.capitalize() if self.level else "OK"


def checks(facts: Facts) -> list[Check]:
    """Judge the facts. Pure."""
    if not facts.database_answers:
        says = "PostgreSQL does not answer: nothing works until it does. Start it, and look at its log and its disk."
        return [Check("database", "Database", Level.FAILING, says)]
    return [
        Check("database", "Database", Level.OK, "PostgreSQL answers."),
        _broker(facts),
        *(_process(facts, role) for role in ROLES),
        _hosts(facts),
        _silent_hosts(facts),
        _host_disks(facts),
        _separation(facts),
        _images(facts),
        _queue(facts),
        _backlog(facts),
        _scores(facts),
        _boards(facts),
        _stuck(facts),
        _faults(facts),
        _leases(facts),
        _store(facts),
        _mails(facts),
        _downloads(facts),
        _rescoring(facts),
        _record(facts),
    ]


def _broker(facts: Facts) -> Check:
    if facts.broker_answers:
        return Check("broker", "Broker", Level.OK, "The broker answers.")
    says = "The broker does not answer: nothing is lost, but no worker is told. Start it; the sweeper tells them again."
    return Check("broker", "Broker", Level.FAILING, says)


def _process(facts: Facts, role: str) -> Check:
    title = {"sweeper": "Sweeper", "control": "Control workers", "scoring": "Scoring workers"}[role]
    ages = [age for name, age in facts.heartbeat_ages.items() if name.partition("@")[0] == role]
    alive = sum(age <= SILENT_SECONDS for age in ages)
    if alive:
        says = f"{_number(alive, 'is', 'are')} alive; the last sign of life was {_age(min(ages))} ago."
        if role == "scoring":
            says += f" Masks are scored by: {facts.scorer}."
        return Check(role, title, Level.OK, says)
    since = f"has shown no sign of life for {_age(min(ages))}" if ages else "has never shown a sign of life"
    cost = {
        "sweeper": "Lost messages and pauses are not made up for",
        "control": "No image is checked",
        "scoring": "No mask is scored",
    }[role]
    return Check(role, title, Level.FAILING, f"None {since}. {cost}: start it, its log says why it ended.")


def _runs_programs(phase: PhaseFacts) -> bool:
    """Whether it needs hosts: masks that are handed in need none, and never wait for a slot."""
    return bool(phase.queued) or (phase.takes_images and bool(phase.is_open or phase.at_work))


def _hosts(facts: Facts) -> Check:
    name, title = "hosts", "GPU hosts"
    taking = [host for host in facts.hosts if host.takes_work]
    if taking:
        busy, slots = sum(host.busy for host in taking), facts.slots
        return Check(
            name, title, Level.OK, f"{_number(len(taking), 'takes', 'take')} work; {busy} of {slots} slots busy."
        )
    if any(_runs_programs(phase) for phase in facts.phases):
        says = "No host takes work: no run can go on. Start a worker, or let a draining host take work again."
        return Check(name, title, Level.FAILING, says)
    return Check(name, title, Level.OK, "No host takes work, and nothing waits for one.")


def _silent_hosts(facts: Facts) -> Check:
    name, title = "silent", "Hosts that are missed or in trouble"
    silent = [host.name for host in facts.hosts if not host.is_alive]
    troubled = [trouble for host in facts.hosts if (trouble := _trouble(host))]
    faulty = [host.name for host in facts.hosts if host.faults_last_hour >= 3]
    if silent:
        says = f"{_names(silent)} silent. Look at the worker's log there, or revoke a host that is gone for good."
        return Check(name, title, Level.WARNING, says)
    if troubled:
        others = f" (and {len(troubled) - 1} more)" if len(troubled) > 1 else ""
        says = f"{troubled[0]}{others}. Look at its log; it goes on by itself when this is mended."
        return Check(name, title, Level.WARNING, says)
    if faulty:
        says = f"{_names(faulty)} at fault three times or more within the hour. Drain it, and look at its attempts."
        return Check(name, title, Level.WARNING, says)
    return Check(name, title, Level.OK, "Every host was heard of within a lease, and none is in trouble.")


def _trouble(host: HostFacts) -> str:
    """What is wrong with a host, by its own words or because it says none."""
    if host.mute_seconds is not None:
        return f"{host.name} has not said for {_age(host.mute_seconds)} what it offers: its container engine may hang"
    return f"{host.name} says: {host.trouble[:120]}" if host.trouble else ""


def _host_disks(facts: Facts) -> Check:
    alive = [host for host in facts.hosts if host.is_alive and host.free_bytes is not None]
    low = [host for host in alive if (host.free_bytes or 0) < 20 * 10**9]
    if not low:
        return Check("host_disks", "Disks of hosts", Level.OK, "No host that says so is short of space.")
    level = Level.FAILING if any((host.free_bytes or 0) < 5 * 10**9 for host in low) else Level.WARNING
    says = f"{_names([host.name for host in low])} short of space. Remove what is not ours there, or use a larger disk."
    return Check("host_disks", "Disks of hosts", level, says)


def _separation(facts: Facts) -> Check:
    """Programs on public cases write logs that their teams read, and share a kernel with what runs beside them.

    Most of what it counts is covered in the sandbox, not all (docs/architecture.md, "Trust boundaries").
    """
    name, title = "separation", "Hosts of hidden cases"
    served = [phase for phase in facts.phases if _runs_programs(phase)]
    kinds = {phase.cases_are_public for phase in served} | {True for phase in served if phase.has_try_outs}
    shared = [host.name for host in facts.hosts if host.takes_work and host.serves == Host.Serves.EVERY]
    if len(kinds) < 2 or not shared:
        return Check(name, title, Level.OK, "No host runs programs of phases of public and of hidden cases.")
    says = f"{_names(shared)} for phases of public (or with try-outs) and of hidden cases alike. A program of the "
    says += "former, whose log its team reads, can measure what the latter do on the same machine. In the "
    says += "administration, under “Hosts”, let "
    return Check(name, title, Level.WARNING, says + "each serve one kind, or close the public phases and try-outs.")


def _images(facts: Facts) -> Check:
    says = f"{_number(facts.checking, 'image is', 'images are')} at the check."
    level = _by_age(facts.oldest_image, warning=20 * MINUTE, failing=HOUR)
    if level:
        says = f"An image waits for its check for {_age(facts.oldest_image)}. Look at the control workers' log."
    return Check("images", "Check of images", level, says)


def _queue(facts: Facts) -> Check:
    if facts.run_waits_beside_free_slot and (facts.oldest_run or 0) > 2 * MINUTE:
        says = f"A run waits for {_age(facts.oldest_run)} although a slot is free. Look at the sweeper's log."
        return Check("queue", "Queue", Level.FAILING, says)
    if facts.run_fits_no_host:
        says = "A run waits that fits no host which takes work: too few GPUs, hosts for other cases, or workers that "
        return Check(
            "queue", "Queue", Level.WARNING, says + "cannot take weights yet. Look at the hosts, or start one."
        )
    if not facts.queued:
        return Check("queue", "Queue", Level.OK, "No run waits.")
    says = f"{_number(facts.queued, 'run waits', 'runs wait')} for a slot, the longest for {_age(facts.oldest_run)}."
    return Check("queue", "Queue", Level.OK, says)


def _backlog(facts: Facts) -> Check:
    seconds = facts.backlog_seconds
    if seconds is None:
        return Check(
            "backlog", "Backlog", Level.WARNING, "Cases wait and no slot is there to take them. Connect a host."
        )
    if seconds > 2 * DAY:
        says = f"What waits will take about {_age(seconds)}. Connect more hosts, or tell teams how long it takes."
        return Check("backlog", "Backlog", Level.WARNING, says)
    return Check("backlog", "Backlog", Level.OK, f"What waits will take about {_age(seconds)}." if seconds else "None.")


def _scores(facts: Facts) -> Check:
    level = _by_age(facts.oldest_score, warning=10 * MINUTE, failing=30 * MINUTE)
    says = "Masks are scored as they come."
    if level:
        says = f"A mask waits for its scores for {_age(facts.oldest_score)}. Look at the scoring workers' log."
    return Check("scores", "Scoring", level, says)


def _boards(facts: Facts) -> Check:
    name, age = max(facts.boards.items(), key=lambda one: one[1], default=("", None))
    level = _by_age(age, warning=10 * MINUTE, failing=30 * MINUTE)
    says = "They follow each score and each decision."
    if level:
        says = (
            f"The board of {name} was not looked at for {_age(age)}, so it may lack runs. "
            "Look at the scoring workers' log."
        )
    return Check("boards", "Boards", level, says)


def _stuck(facts: Facts) -> Check:
    if facts.stuck:
        says = (
            f"{_number(facts.stuck, 'interrupted submission waits', 'interrupted submissions wait')} for you. "
            "Find the cause in its attempts, then choose “Go on” in the administration."
        )
        return Check("stuck", "Interrupted by our fault", Level.FAILING, says)
    if facts.halted:
        says = f"{facts.halted} interrupted, the longest for {_age(facts.oldest_halted)}. They go on by themselves."
        return Check("stuck", "Interrupted by our fault", Level.WARNING, says)
    return Check("stuck", "Interrupted by our fault", Level.OK, "Nothing is.")


def _faults(facts: Facts) -> Check:
    today = sum(facts.faults_last_day.values())
    says = f"{_number(today, 'fault', 'faults')} of ours in the last 24 hours, {facts.faults_last_hour} in the last."
    level = Level.WARNING if facts.faults_last_hour else Level.OK
    if facts.faults_last_hour >= MANY_FAULTS:
        level = Level.FAILING
    if level:
        says += " The attempts in the administration say which host, and why."
    return Check("faults", "Faults of ours", level, says)


def _leases(facts: Facts) -> Check:
    lost, ending = facts.leases_lost_last_hour, facts.leases_ending
    says = f"{_number(facts.leases, 'batch is', 'batches are')} at work."
    if lost:
        says += (
            f" {_number(lost, 'lease was', 'leases were')} lost within the hour: look at those hosts and their network."
        )
    if ending:
        says += f" {_number(ending, 'lease ends', 'leases end')} soon unless the host is heard of."
    level = Level.FAILING if lost >= MANY_FAULTS else Level.WARNING if lost or ending else Level.OK
    return Check("leases", "Leases", level, says)


def _store(facts: Facts) -> Check:
    free, share = facts.store_free_bytes, facts.store_free_bytes / max(1, facts.store_bytes)
    full = facts.store_turns_uploads_away or share < 0.05
    level = Level.FAILING if full else Level.WARNING if share < 0.15 else Level.OK
    says = f"{decimal_size(free)}, {share:.0%}, of the store's disk are free."
    if facts.store_turns_uploads_away:
        says += " Uploads as large as a phase takes are turned away, and runs will not begin when it gets less."
    if level:
        says += " Archive old phases or enlarge it."
    return Check("store", "Disk of the store", level, says)


def _mails(facts: Facts) -> Check:
    mails = facts.mails
    level = _by_age(mails.oldest, warning=5 * MINUTE, failing=HOUR)
    says = f"{_number(mails.waiting, 'message waits', 'messages wait')}; {mails.sent_last_hour} sent within the hour"
    says += f", {mails.given_up_last_hour} given up." if mails.given_up_last_hour else "."
    if level:
        says = f"A message waits for {_age(mails.oldest)}: nobody can confirm an address or choose a new password."
    elif mails.given_up_last_hour >= MANY_REFUSED and not mails.sent_last_hour:
        level = Level.WARNING
    if level:
        says += " Look at the mail server's answers, in the administration under “Outgoing mails”."
    return Check("mail", "Mail", level, says)


def _downloads(facts: Facts) -> Check:
    if not facts.uncopied:
        return Check("downloads", "Files to download", Level.OK, "All that may be downloaded can be.")
    says = (
        f"Files of {_names(list(facts.uncopied)).rstrip(':')} are still being copied, which takes minutes. If it goes "
        "on for long: look at the control workers' log, and at the disk of PUBLIC_DIR."
    )
    return Check("downloads", "Files to download", Level.WARNING, says)


def _rescoring(facts: Facts) -> Check:
    """One evaluation version ranks a phase: what is scored by another one waits for people."""
    name, title, found = "rescoring", "Evaluation versions", facts.rescoring
    if found.stuck:
        says = (
            f"{', '.join(found.stuck)}: scoring its runs anew does not go on. “manage.py rescore status” says why: "
            "mend that, or discard it."
        )
    elif found.behind:
        says = (
            f"{', '.join(found.behind)}: ranked by another evaluation version than this server has. New runs of it "
            "have no rank until all are scored anew: “manage.py rescore start”."
        )
    elif found.to_decide:
        says = (
            f"{', '.join(found.to_decide)}: all runs are scored anew. Look at “manage.py rescore preview”, then apply "
            "or discard it."
        )
    else:
        return Check(name, title, Level.OK, "Each phase is ranked by the version that scores it, or is scored anew.")
    return Check(name, title, Level.WARNING, says)


def _by_age(age: float | None, *, warning: float, failing: float) -> Level:
    if age is None or age < warning:
        return Level.OK
    return Level.FAILING if age >= failing else Level.WARNING


def _number(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _names(names: list[str]) -> str:
    return f"{', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}:"


def _age(seconds: float | None) -> str:
    seconds = max(0.0, seconds or 0.0)
    for unit, length in (("days", DAY), ("hours", HOUR), ("minutes", MINUTE)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _record(facts: Facts) -> Check:
    name, title, record = "record", "Record of decisions", facts.record
    if record.problems:
        more = f" (and {len(record.problems) - 1} more)" if len(record.problems) > 1 else ""
        says = f"{record.problems[0]}{more} Somebody changed the database by hand: compare it with a backup of before."
        return Check(name, title, Level.FAILING, says)
    if (record.oldest_unchained or 0) > RECORD_WAITS_SECONDS:
        says = f"An entry has waited for {_age(record.oldest_unchained or 0)} to be chained: is the sweeper alive?"
        return Check(name, title, Level.WARNING, says)
    if record.checked is None:
        return Check(name, title, Level.OK, "It has not been verified yet; the sweeper does that within minutes.")
    says = f"The chain is unbroken: {_number(record.entries, 'entry', 'entries')}, verified {_age(record.checked)} ago."
    return Check(name, title, Level.OK, says)
