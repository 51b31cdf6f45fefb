"""What a population has most of, written by the database itself: INSERT ... SELECT from a few thousand rows."""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

import evaluation
from leaderboard.models import CaseSet, Host, Run, Submission
from leaderboard.scores.layout import LAYOUT
from leaderboard.states import RunState, SubmissionState
from tests.bench import results
from tests.bench.plan import ACCEPTED, Fate, Size
from tests.bench.results import Kind, RunResults

MINUTE = timedelta(minutes=1)
LOG_LINE = "[{:>6.1f} s] case {:03}: {} findings, volume (512, 512, 238), {:.2f} GB in use\n"


@dataclass(frozen=True)
class Made:
    """What is there already: `fates` are those of the submissions, in their order."""

    hosts: Sequence[Host]
    kinds: Sequence[Kind]
    case_sets: Sequence[CaseSet]
    submissions: Sequence[Submission]
    fates: Sequence[Fate]
    runs: Sequence[Run]


class Writer:
    """Writes cases of runs, batches, attempts, standings, scores and history for what is there."""

    def __init__(self, size: Size, made: Made, rng: random.Random, now: datetime) -> None:
        self.size, self.made, self.rng, self.now = size, made, rng, now

    def write(self) -> None:
        """Everything."""
        with connection.cursor() as cursor:
            cursor.execute(TABLES)
            self._copy(cursor, "bench_run", self._run_rows())
            self._copy(cursor, "bench_change", self._changes())
            self._copy(cursor, "bench_log", enumerate(_logs(self.rng)))
            sets = [
                list(one.cases.order_by("name").values_list("pk", "name", "in_public_half"))
                for one in self.made.case_sets
            ]
            for index in range(self.size.distinct):
                for case_set, cases in enumerate(sets):
                    self._copy_results(cursor, index, case_set, cases)
            cursor.execute("ANALYZE bench_run; ANALYZE bench_case")
            sizes = {"cases": self.size.cases, "size": self.size.batch_size, "batches": self.size.batches}
            for statement in STATEMENTS:
                cursor.execute(statement, {**sizes, "now": self.now, "version": evaluation.VERSION})
            cursor.execute(DROP)

    def _copy(self, cursor: Any, table: str, given: Iterable[Sequence[object]]) -> None:
        with cursor.copy(f"COPY {table} FROM STDIN") as copy:
            for row in given:
                copy.write_row(row)

    def _copy_results(self, cursor: Any, index: int, case_set: int, cases: Sequence[tuple[int, str, bool]]) -> None:
        named = [
            (name, self.made.kinds[number % len(self.made.kinds)], half) for number, (_, name, half) in enumerate(cases)
        ]
        run: RunResults = results.run_results(named, self.made.case_sets[case_set].digest, self.rng)
        self._copy(
            cursor,
            "bench_case",
            (
                (index, case_set, place, pk, one.outcome, one.reason_code, one.seconds, json.dumps(one.result))
                for place, (pk, _, _), one in zip(run.places, cases, run.cases, strict=True)
            ),
        )
        self._copy(
            cursor,
            "bench_standing",
            (
                (
                    *(index, case_set, scope, numbers["summary"]["dice"]),
                    *(numbers["summary"]["total_cases"], run.lost[scope]),
                    *(json.dumps(numbers["summary"]), json.dumps(numbers["groups"])),
                )
                for scope, numbers in run.numbers.items()
            ),
        )
        self._copy(cursor, "bench_scores", [(index, case_set, LAYOUT, *run.packed)])

    def _run_rows(self) -> Iterator[tuple[object, ...]]:
        """Of each run: which results it has, how many of its cases are decided and scored, and where it runs now."""
        slots = [(host.pk, slot["name"]) for host in self.made.hosts for slot in host.slots]
        fates = {submission.pk: fate for submission, fate in zip(self.made.submissions, self.made.fates, strict=True)}
        for run in self.made.runs:
            fate = fates[run.submission_id]
            decided = self._whole_batches(fate.ran)
            scored = self._whole_batches(0.9) if run.state == RunState.SCORING else decided
            runs_now = run.state in {RunState.CANARY, RunState.RUNNING} and bool(slots)
            host, slot = slots.pop(self.rng.randrange(len(slots))) if runs_now else (None, None)
            yield (
                *(run.pk, run.submission_id, int(not run.submission.phase.cases_are_public)),
                *(self.rng.randrange(self.size.distinct), run.state, decided, scored, host, slot),
                *(run.started_at, run.ended_at or self.now),
            )

    def _whole_batches(self, share: float) -> int:
        """How many cases are in the batches that a run has finished after this share of its cases."""
        if share in (0.0, 1.0):
            return round(self.size.cases * share)
        return min(1 + int(share * (self.size.batches - 1)) * self.size.batch_size, self.size.cases)

    def _changes(self) -> Iterator[tuple[object, ...]]:
        """The history of submissions and runs."""
        ends = {ACCEPTED, SubmissionState.REJECTED}
        for submission in self.made.submissions:
            own = [SubmissionState.RECEIVED]
            if submission.state in {SubmissionState.VALIDATING, *ends}:
                own.append(SubmissionState.VALIDATING)
            if submission.state != own[-1]:
                own.append(SubmissionState(submission.state))
            span = (submission.accepted_at, submission.accepted_at + 2 * MINUTE)
            yield from _steps(submission.pk, None, own, *span)
        fates = {submission.pk: fate for submission, fate in zip(self.made.submissions, self.made.fates, strict=True)}
        for run in self.made.runs:
            path = ["", *fates[run.submission_id].path]
            yield from _steps(run.submission_id, run.pk, path, run.created_at, run.ended_at or self.now - MINUTE)


def _steps(
    submission: int, run: int | None, states: Sequence[str], first: datetime, last: datetime
) -> Iterator[tuple[object, ...]]:
    for number in range(1, len(states)):
        at = first + (last - first) * number / (len(states) - 1)
        yield submission, run, str(states[number - 1]), str(states[number]), at


def _logs(rng: random.Random) -> list[str]:
    lengths = (0, 3, 10, 26, 26, 60, 300)
    return [
        "".join(
            LOG_LINE.format(rng.random() * 100, number, rng.randint(1, 4), rng.random() * 9) for number in range(lines)
        )
        for lines in lengths
    ]


# Tables of this session: one row per run, per batch, per case of each of the distinct runs.
TABLES = """
CREATE TEMP TABLE bench_run (run bigint PRIMARY KEY, submission bigint, case_set int, results int, state text,
    decided int, scored int, host bigint, slot text, began timestamptz, ended timestamptz);
CREATE TEMP TABLE bench_change (submission bigint, run bigint, origin text, state text, at timestamptz);
CREATE TEMP TABLE bench_log (number int, log text);
CREATE TEMP TABLE bench_case (results int, case_set int, place int, case_id bigint, outcome text, reason text,
    seconds float8, result jsonb);
CREATE TEMP TABLE bench_standing (results int, case_set int, scope text, dice float8, cases int, lost int,
    summary jsonb, groups jsonb);
CREATE TEMP TABLE bench_scores (results int, case_set int, layout int, cases bytea, findings bytea, digest text);
"""
DROP = "DROP TABLE bench_run, bench_change, bench_log, bench_case, bench_standing, bench_scores, bench_batch"

# The first case has a batch of its own; `planned` says whether a run has more than that one yet.
_BATCHES = """
CREATE TEMP TABLE bench_batch AS
SELECT md5('batch ' || run || '.' || number)::uuid AS id, run, submission, number, first, last,
    CASE WHEN last < scored THEN 'scored' WHEN last < decided THEN 'reported' WHEN state IN ('failed') THEN 'dropped'
         WHEN first = decided AND host IS NOT NULL THEN 'leased' ELSE 'waiting' END AS state,
    began + (ended - began) * first / %(cases)s AS claimed, began + (ended - began) * (last + 1) / %(cases)s AS ended,
    COALESCE(host, others.id) AS host, COALESCE(slot, 'slot' || number %% 10) AS slot, others.name AS host_name,
    1 + ((run + number) %% 40 = 0)::int AS fence
FROM bench_run
CROSS JOIN generate_series(1, %(batches)s) AS number
CROSS JOIN LATERAL (SELECT CASE WHEN number = 1 THEN 0 ELSE 1 + (number - 2) * %(size)s END AS first) AS begin
CROSS JOIN LATERAL (SELECT CASE WHEN number = 1 THEN 0 ELSE LEAST(first + %(size)s, %(cases)s) - 1 END AS last) AS until
JOIN (SELECT row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS hosts, id, name FROM leaderboard_host)
    AS others ON others.place = (run + number) %% others.hosts
WHERE began IS NOT NULL AND (number = 1 OR decided > 0)
"""
_INSERT_BATCHES = """
INSERT INTO leaderboard_batch (id, run_id, number, is_canary, state, rung_at, fence, host_id, lease_until, done)
SELECT id, run, number, number = 1, state, claimed,
    CASE WHEN state IN ('waiting', 'dropped') THEN 0 ELSE fence END,
    CASE WHEN state IN ('waiting', 'dropped') THEN NULL ELSE host END,
    CASE WHEN state = 'leased' THEN %(now)s + interval '1 minute' END,
    CASE WHEN state = 'leased' THEN (last - first) / 3 ELSE 0 END
FROM bench_batch
"""
_INSERT_ATTEMPTS = """
INSERT INTO leaderboard_attempt
    (batch_id, fence, host_id, key, slot, claimed_at, ended_at, fault, detail, container, log)
SELECT id, try, host, md5(id || '.' || try)::uuid, slot, claimed,
    CASE WHEN state <> 'leased' OR try < fence THEN bench_batch.ended END,
    CASE WHEN try < fence THEN 'host_lost' ELSE '' END,
    CASE WHEN try < fence THEN 'the host was silent for a minute' ELSE '' END,
    CASE WHEN state <> 'leased' AND try = fence
         THEN '{"exit_code": 0, "oom_killed": false, "seconds": 40.5, "warnings": ["/output has a folder"]}'::jsonb END,
    CASE WHEN state <> 'leased' AND try = fence THEN log ELSE '' END
FROM bench_batch CROSS JOIN generate_series(1, fence) AS try
JOIN bench_log ON bench_log.number = (run + bench_batch.number) %% 7
WHERE state IN ('leased', 'reported', 'scored')
"""
_INSERT_CASES = """
INSERT INTO leaderboard_runcase (run_id, case_id, position, token, batch_id, outcome, reason_code, seconds, output,
    output_bytes, decided_at, tries, result, evaluation_version, scored_at)
SELECT run, case_id, place, left(md5('token ' || run || '.' || place), 16),
    CASE WHEN began IS NOT NULL AND (place = 0 OR decided > 0)
         THEN md5('batch ' || run || '.' || CASE WHEN place = 0 THEN 1 ELSE 2 + (place - 1) / %(size)s END)::uuid END,
    CASE WHEN is_decided THEN outcome ELSE '' END, CASE WHEN is_decided THEN reason ELSE '' END,
    CASE WHEN is_decided THEN seconds END,
    CASE WHEN is_decided AND outcome = 'finished' THEN 'sha256:' || md5('a' || case_id) || md5('b' || run) ELSE '' END,
    CASE WHEN is_decided AND outcome = 'finished' THEN 30000 + place END,
    CASE WHEN is_decided THEN began + (ended - began) * place / %(cases)s END,
    is_decided::int + (is_decided AND (run + place) %% 90 = 0)::int,
    CASE WHEN is_decided AND (place < scored OR outcome <> 'finished') THEN result END,
    CASE WHEN place < scored THEN %(version)s ELSE '' END,
    CASE WHEN place < scored THEN began + (ended - began) * (place + 1) / %(cases)s END
FROM bench_run JOIN bench_case USING (case_set, results) CROSS JOIN LATERAL (SELECT place < decided AS is_decided) AS so
ORDER BY run, place
"""
_INSERT_STANDINGS = """
INSERT INTO leaderboard_standing (run_id, scope, evaluation_version, dice, cases, lost_cases, summary, groups)
SELECT run, scope, %(version)s, dice, cases, lost, summary, groups
FROM bench_run JOIN bench_standing USING (case_set, results) WHERE state = 'scored'
"""
_INSERT_SCORES = """
INSERT INTO leaderboard_runscores (run_id, evaluation_version, layout, digest, cases, findings)
SELECT run, %(version)s, layout, digest, cases, findings
FROM bench_run JOIN bench_scores USING (case_set, results) WHERE state = 'scored'
"""
_INSERT_CHANGES = """
INSERT INTO leaderboard_statechange (submission_id, run_id, batch_id, from_state, to_state, at, by, why)
SELECT submission, run, NULL, origin, state, at, 'server', CASE WHEN state = 'halted' THEN 'host_lost' ELSE '' END
FROM bench_change
UNION ALL
SELECT submission, run, id, origin, to_state, at, by, ''
FROM bench_batch CROSS JOIN LATERAL (VALUES ('waiting', 'leased', claimed, host_name),
    ('leased', 'reported', ended, host_name), ('reported', 'scored', ended + interval '2 seconds', 'server'))
    AS step (origin, to_state, at, by)
WHERE state = to_state OR state = 'scored' OR (state = 'reported' AND to_state = 'leased')
"""
STATEMENTS = (
    _BATCHES,
    "ANALYZE bench_batch",
    _INSERT_BATCHES,
    _INSERT_ATTEMPTS,
    _INSERT_CASES,
    _INSERT_STANDINGS,
    _INSERT_SCORES,
    _INSERT_CHANGES,
)
