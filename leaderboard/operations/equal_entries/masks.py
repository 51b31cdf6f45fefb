"""In how many cases two runs have equal masks, by digests of what they hold."""

from dataclasses import dataclass

from django.db import connection

from leaderboard.models import Run

FEWEST_CASES = 2
LEAST_SHARE = 0.1
OLDEST = 20  # so many holders of a mask are asked about: they are the same ones from case to case

_COUNT = """
WITH mine AS (
    SELECT case_id, mask_digest FROM leaderboard_runcase WHERE run_id = %(run)s AND mask_digest > ''
), equal AS (
    SELECT holder.run_id, holder.submission_id, count(*) AS cases
    FROM mine CROSS JOIN LATERAL (
        SELECT other.run_id, run.submission_id
        FROM leaderboard_runcase other
        JOIN leaderboard_run run ON run.id = other.run_id
        JOIN leaderboard_submission submission ON submission.id = run.submission_id
        WHERE other.mask_digest = mine.mask_digest AND other.mask_digest > '' AND other.case_id = mine.case_id
            AND submission.team_id <> %(team)s
        ORDER BY other.id LIMIT %(oldest)s
    ) holder
    GROUP BY holder.run_id, holder.submission_id
    ORDER BY cases DESC, holder.run_id LIMIT %(oldest)s
)
SELECT equal.submission_id, equal.cases, (
    SELECT count(*) FROM leaderboard_runcase other JOIN mine USING (case_id)
    WHERE other.run_id = equal.run_id AND other.mask_digest > ''
)
FROM equal ORDER BY equal.cases DESC, equal.run_id
"""


@dataclass(frozen=True)
class EqualMasks:
    """In `equal` of the `compared` cases in which both have one, the masks of a run are those of `submission`."""

    submission: int
    equal: int
    compared: int

    @property
    def counts(self) -> bool:
        """Whether it is more than a few masks that are equal by chance."""
        return self.equal >= max(min(FEWEST_CASES, self.compared), LEAST_SHARE * self.compared)


def equal_masks(run: Run) -> list[EqualMasks]:
    """Other teams' submissions with many masks of this run, the most equal ones first."""
    asked = {"run": run.pk, "team": run.submission.team_id, "oldest": OLDEST}
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, asked)
        found = [EqualMasks(*row) for row in cursor.fetchall()]
    return [one for one in found if one.counts]
