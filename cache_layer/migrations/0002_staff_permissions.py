"""What all staff could do needs permissions from here on: today's staff are given them.

Permissions are made after all migrations have run, so those of this release are made here. Staff
whose account is switched off are given none, and superusers need none.
"""

from django.conf import settings
from django.db import migrations

NEW = {
    "view_entries": "Can see the cache's numbers and entries",
    "validate": "Can compare the cache with the truth and repair it",
    "view_personal_data": "Can see personal data: names, e-mails, student ids",
}
KNOWN_BEFORE = {"invalidate": "Can remove entries from the cache"}


def make_permissions(apps, database, model, names):
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.using(
        database
    ).get_or_create(app_label="cache", model=model)
    return [
        apps.get_model("auth", "Permission").objects.using(database).get_or_create(
            content_type=content_type, codename=codename, defaults={"name": name}
        )[0]
        for codename, name in names.items()
    ]


def grant_to_staff(apps, schema_editor):
    database = schema_editor.connection.alias
    permissions = [
        *make_permissions(apps, database, "cachepage", NEW),
        *make_permissions(apps, database, "cacheinvalidation", KNOWN_BEFORE),
    ]
    users = apps.get_model(settings.AUTH_USER_MODEL).objects.using(database)
    for user in users.filter(is_staff=True, is_active=True, is_superuser=False):
        user.user_permissions.add(*permissions)


def remove_permissions(apps, schema_editor):
    """Who has been given them loses them with them. Nobody knows any more who could remove entries
    before: whoever can stays able to."""
    apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias).filter(
        content_type__app_label="cache", content_type__model="cachepage", codename__in=NEW
    ).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("cache", "0001_initial"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("auth", "0012_alter_user_first_name_max_length"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="cachepage",
            options={
                "default_permissions": (),
                "managed": False,
                "permissions": tuple(NEW.items()),
                "verbose_name": "overview",
                "verbose_name_plural": "overview",
            },
        ),
        migrations.RunPython(grant_to_staff, remove_permissions),
    ]
