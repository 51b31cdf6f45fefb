from django.db import migrations
from django.db.models import Q


def give_roles(apps, schema_editor):
    """What people may do by Django's flags and permissions, as a role.

    Who may do everything is an owner, staff who may change submissions is an organiser, other staff is a viewer.
    """
    users = apps.get_model("leaderboard", "User").objects.filter(role="")
    acts = {"content_type__app_label": "leaderboard", "codename": "change_submission"}
    permissions = apps.get_model("auth", "Permission").objects.filter(**acts)
    users.filter(is_superuser=True).update(role="owner", is_staff=True)
    staff = users.filter(is_staff=True, is_superuser=False)
    may = Q(user_permissions__in=permissions) | Q(groups__permissions__in=permissions)
    staff.filter(pk__in=list(staff.filter(may).values_list("pk", flat=True))).update(role="organiser")
    staff.filter(role="").update(role="viewer")


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0043_record_chain")]

    operations = [
        migrations.RunPython(give_roles, migrations.RunPython.noop),
    ]
