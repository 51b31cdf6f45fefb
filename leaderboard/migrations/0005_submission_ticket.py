"""An upload that a team sends again, because no answer came, is known by its ticket."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0004_host_trouble")]

    operations = [
        migrations.AddField(
            model_name="submission",
            name="ticket",
            field=models.CharField(
                blank=True,
                db_default="",
                help_text="sent again with the same one, it is this submission",
                max_length=40,
            ),
        ),
        migrations.AddConstraint(
            model_name="submission",
            constraint=models.UniqueConstraint(
                fields=["team", "ticket"], condition=~Q(ticket=""), name="a_ticket_is_used_once"
            ),
        ),
    ]
