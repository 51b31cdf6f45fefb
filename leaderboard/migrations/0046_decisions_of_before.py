"""Disqualifications of before, from the record: with the reason that the team was shown. Nobody is told again of them.

Why organisers reinstated a run was for the record alone, and stays there.
"""

from django.db import migrations

FROM_RECORD = """
INSERT INTO leaderboard_rundecision (submission_id, kind, reason, at, told_at)
SELECT one.id,
       CASE entry.action WHEN 'disqualify' THEN 'disqualified' ELSE 'reinstated' END,
       CASE entry.action WHEN 'disqualify' THEN coalesce(entry.after ->> 'disqualified_reason', entry.why) ELSE '' END,
       entry.at, entry.at
FROM leaderboard_auditentry AS entry JOIN leaderboard_submission AS one ON one.id::text = entry.target_id
WHERE entry.target_type = 'submission' AND entry.action IN ('disqualify', 'reinstate')
ORDER BY entry.id
"""
WITHOUT_RECORD = """
INSERT INTO leaderboard_rundecision (submission_id, kind, reason, at, told_at)
SELECT one.id, 'disqualified', one.disqualified_reason, one.disqualified_at, one.disqualified_at
FROM leaderboard_submission AS one
WHERE one.disqualified_at IS NOT NULL AND NOT EXISTS (
    SELECT FROM leaderboard_rundecision AS known WHERE known.submission_id = one.id AND known.kind = 'disqualified'
)
"""


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0045_decisions")]
    operations = [
        migrations.RunSQL([FROM_RECORD, WITHOUT_RECORD], migrations.RunSQL.noop),
    ]
