"""The record of what people decided, which the database itself keeps from being changed."""

from django.db import migrations, models
from django.db.migrations.exceptions import IrreversibleError

APPEND_ONLY = """
CREATE OR REPLACE FUNCTION leaderboard_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the record of decisions is append-only';
END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON leaderboard_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION leaderboard_audit_is_append_only();
"""
CHANGEABLE = """
DROP TRIGGER audit_is_append_only ON leaderboard_auditentry;
DROP FUNCTION leaderboard_audit_is_append_only();
"""


def keep_decisions(apps, schema_editor):
    """Going back drops the record: nobody should lose what people decided without having asked for it."""
    if apps.get_model("leaderboard", "AuditEntry").objects.exists():
        raise IrreversibleError(
            "Going back to before 0007 would delete the record of what people decided. "
            "Take a backup, and empty the table leaderboard_auditentry with TRUNCATE first."
        )


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0006_standard_names")]

    operations = [
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                (
                    "user_id",
                    models.BigIntegerField(blank=True, help_text="who decided, if it was somebody signed in", null=True),
                ),
                (
                    "by",
                    models.CharField(help_text="the person's name then, or who used the command line", max_length=120),
                ),
                ("action", models.CharField(max_length=40)),
                (
                    "target_type",
                    models.CharField(
                        help_text="the kind of thing: submission, phase, host, team, user", max_length=40
                    ),
                ),
                ("target_id", models.CharField(max_length=40)),
                ("target", models.CharField(help_text="its name then", max_length=200)),
                ("before", models.JSONField(blank=True, default=dict)),
                ("after", models.JSONField(blank=True, default=dict)),
                ("why", models.TextField(blank=True)),
            ],
            options={
                "verbose_name_plural": "audit entries",
                "ordering": ["-at", "-pk"],
                "indexes": [
                    models.Index(fields=["target_type", "target_id"], name="audit_by_target"),
                    models.Index(fields=["-at"], name="audit_by_instant"),
                ],
            },
        ),
        migrations.RunSQL(APPEND_ONLY, CHANGEABLE),
        migrations.RunPython(migrations.RunPython.noop, keep_decisions),
    ]
