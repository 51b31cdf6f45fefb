"""What a team's name looks like, and how often something was tried lately."""

from django.db import migrations, models


def look_at_names(apps, schema_editor):
    """Teams stay as they are: of those that look alike the oldest holds the place, the others are compared by name."""
    from leaderboard.people.names import skeleton

    team_model = apps.get_model("leaderboard", "Team")
    seen = set()
    for team in team_model.objects.filter(skeleton=None).order_by("created_at", "pk"):
        look = skeleton(team.name)
        if look and look not in seen:
            seen.add(look)
            team_model.objects.filter(pk=team.pk).update(skeleton=look)


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0008_image_provenance")]

    operations = [
        migrations.AddField("team", "skeleton", models.TextField(editable=False, null=True, unique=True)),
        migrations.RunPython(look_at_names, migrations.RunPython.noop, elidable=True),
        migrations.CreateModel(
            name="Throttle",
            fields=[
                (
                    "key",
                    models.CharField(
                        help_text="a hash of what is tried, on what, from where",
                        max_length=64,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "account",
                    models.CharField(
                        blank=True, db_index=True, help_text="a hash of the account's address", max_length=64
                    ),
                ),
                ("level", models.FloatField()),
                ("at", models.DateTimeField()),
            ],
        ),
    ]
