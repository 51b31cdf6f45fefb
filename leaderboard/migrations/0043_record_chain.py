from django.db import migrations, models

# Beside names that go (0027), one thing more may happen to an entry: it gets its place in the chain, once. When names
# go, the salts of the parts that change go, too, and for whom is noted: that person's account ends, by the record, in
# the same transaction, in which the entry that says so is not chained yet. An older server leaves that to the database.
CHAINS = """
CREATE OR REPLACE FUNCTION leaderboard_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND 'yes' IN (
        current_setting('leaderboard.forgets_a_person', true), current_setting('leaderboard.chains', true)
    ) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the record of decisions is append-only';
END $$;

CREATE FUNCTION leaderboard_audit_part(entry jsonb, name text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN name LIKE 'before.%' THEN entry -> 'before' -> substr(name, 8)
        WHEN name LIKE 'after.%' THEN entry -> 'after' -> substr(name, 7)
        ELSE entry -> name
    END
$$;

CREATE OR REPLACE FUNCTION leaderboard_audit_keeps_decisions() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old_entry jsonb := to_jsonb(OLD);
    new_entry jsonb := to_jsonb(NEW);
    whom text;
    name text;
BEGIN
    IF (OLD.id, OLD.at, OLD.action, OLD.target_type, OLD.target_id) IS DISTINCT FROM
       (NEW.id, NEW.at, NEW.action, NEW.target_type, NEW.target_id) OR OLD.user_id IS DISTINCT FROM NEW.user_id THEN
        RAISE EXCEPTION 'the record of decisions is append-only: only names are forgotten';
    END IF;
    IF current_setting('leaderboard.chains', true) = 'yes' THEN
        IF OLD.number IS NOT NULL
           OR new_entry - '{number,digest,seals}'::text[] <> old_entry - '{number,digest,seals}'::text[] THEN
            RAISE EXCEPTION 'the record of decisions is append-only: an entry is chained once, as it is';
        END IF;
        RETURN NEW;
    END IF;
    IF (OLD.number, OLD.digest, OLD.seals) IS DISTINCT FROM (NEW.number, NEW.digest, NEW.seals) THEN
        RAISE EXCEPTION 'the record of decisions is append-only: the chain stays';
    END IF;
    IF OLD.seals IS NULL THEN
        RETURN NEW;
    END IF;
    SELECT target_id INTO whom FROM leaderboard_auditentry
        WHERE number IS NULL AND target_type = 'user' AND action IN ('delete account', 'delete user')
        ORDER BY id DESC LIMIT 1;
    FOR name IN SELECT jsonb_object_keys(OLD.seals) LOOP
        IF leaderboard_audit_part(old_entry, name) IS DISTINCT FROM leaderboard_audit_part(new_entry, name)
           AND jsonb_array_length(OLD.seals -> name) = 2 THEN
            IF whom IS NULL THEN
                RAISE EXCEPTION 'the record of decisions is append-only: names go with an account that ends';
            END IF;
            NEW.seals := jsonb_set(
                NEW.seals, ARRAY[name], jsonb_build_array('', OLD.seals -> name -> 1, whom)
            );
        END IF;
    END LOOP;
    RETURN NEW;
END $$;
"""
CHAINS_NOTHING = """
CREATE OR REPLACE FUNCTION leaderboard_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('leaderboard.forgets_a_person', true) = 'yes' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the record of decisions is append-only';
END $$;
CREATE OR REPLACE FUNCTION leaderboard_audit_keeps_decisions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.id, OLD.at, OLD.action, OLD.target_type, OLD.target_id) IS DISTINCT FROM
       (NEW.id, NEW.at, NEW.action, NEW.target_type, NEW.target_id) OR OLD.user_id IS DISTINCT FROM NEW.user_id THEN
        RAISE EXCEPTION 'the record of decisions is append-only: only names are forgotten';
    END IF;
    RETURN NEW;
END $$;
DROP FUNCTION leaderboard_audit_part(jsonb, text);
"""


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0042_roles")]

    operations = [
        migrations.CreateModel(
            name='RecordCheck',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('checked_at', models.DateTimeField(blank=True, help_text='the end of the last whole round', null=True)),
                ('entries', models.BigIntegerField(default=0, help_text='the number of the last entry then')),
                ('digest', models.CharField(blank=True, default='', help_text='and its digest', max_length=64)),
                ('problems', models.JSONField(blank=True, default=list, help_text='what was found, in sentences')),
                ('reached', models.BigIntegerField(default=0)),
                ('reached_digest', models.CharField(blank=True, default='', max_length=64)),
                ('found', models.JSONField(blank=True, default=list)),
            ],
        ),
        migrations.AddField(
            model_name='auditentry',
            name='digest',
            field=models.CharField(blank=True, db_default='', default='', help_text='SHA-256, in hex', max_length=64),
        ),
        migrations.AddField(
            model_name='auditentry',
            name='number',
            field=models.BigIntegerField(blank=True, help_text='its place in the chain, from 1 on', null=True, unique=True),
        ),
        migrations.AddField(
            model_name='auditentry',
            name='seals',
            field=models.JSONField(blank=True, help_text='of each part that is words: salt and SHA-256', null=True),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['user_id'], name='audit_by_person'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(condition=models.Q(('number', None)), fields=['id'], name='audit_unchained'),
        ),
        migrations.RunSQL(CHAINS, CHAINS_NOTHING),
    ]
