"""The statements with which a population is multiplied inside the database: see `population`."""

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
"""
DROP = "DROP TABLE bench_run, bench_change, bench_log, bench_case, bench_standing, bench_batch"

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
    _INSERT_CHANGES,
)
