from django.db import migrations, models

# The record stays append-only but for one thing: whoever ends an account is named no more (core/audit.forget). What was
# decided, when, on what, and under which number of a person, even that cannot change.
FORGETS_NAMES = """
CREATE OR REPLACE FUNCTION leaderboard_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('leaderboard.forgets_a_person', true) = 'yes' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the record of decisions is append-only';
END $$;
CREATE FUNCTION leaderboard_audit_keeps_decisions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.id, OLD.at, OLD.action, OLD.target_type, OLD.target_id) IS DISTINCT FROM
       (NEW.id, NEW.at, NEW.action, NEW.target_type, NEW.target_id) OR OLD.user_id IS DISTINCT FROM NEW.user_id THEN
        RAISE EXCEPTION 'the record of decisions is append-only: only names are forgotten';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_keeps_decisions BEFORE UPDATE ON leaderboard_auditentry
    FOR EACH ROW EXECUTE FUNCTION leaderboard_audit_keeps_decisions();
"""
FORGETS_NOTHING = """
DROP TRIGGER audit_keeps_decisions ON leaderboard_auditentry;
DROP FUNCTION leaderboard_audit_keeps_decisions();
CREATE OR REPLACE FUNCTION leaderboard_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the record of decisions is append-only';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [('leaderboard', '0026_teams')]

    operations = [
        migrations.AddField(
            model_name="user",
            name="country",
            field=models.CharField(blank=True, db_default="", default="", help_text="its code in ISO 3166", max_length=2),
        ),
        migrations.AddField(
            model_name="user",
            name="orcid",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="like 0000-0002-1825-0097",
                max_length=19,
                verbose_name="ORCID iD",
            ),
        ),
        migrations.RunSQL(FORGETS_NAMES, FORGETS_NOTHING),
    ]
