"""When exams were counted and for whom; and who may see and recount them: today's staff may.

All of them could have exams counted before, by the API. Permissions are made after all migrations
have run, so those of this release are made here. Staff whose account is switched off are given
none, and superusers need none.
"""

from django.conf import settings
from django.db import migrations, models

PERMISSIONS = {
    "view_exams": "Can see the exams and their seats",
    "recount_exams": "Can have exams counted and their counts corrected",
}


def grant_to_staff(apps, schema_editor):
    database = schema_editor.connection.alias
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.using(
        database
    ).get_or_create(app_label="booking_api", model="exampage")
    known = apps.get_model("auth", "Permission").objects.using(database)
    permissions = [
        known.get_or_create(content_type=content_type, codename=codename, defaults={"name": name})[0]
        for codename, name in PERMISSIONS.items()
    ]
    users = apps.get_model(settings.AUTH_USER_MODEL).objects.using(database)
    for user in users.filter(is_staff=True, is_active=True, is_superuser=False):
        user.user_permissions.add(*permissions)


def remove_permissions(apps, schema_editor):
    """Who has been given them loses them with them."""
    apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias).filter(
        content_type__app_label="booking_api", content_type__model="exampage"
    ).delete()


class Migration(migrations.Migration):

    dependencies = [
        ('booking_api', '0010_finding_rows'),
        ('contenttypes', '0002_remove_content_type_name'),
        ('auth', '0012_alter_user_first_name_max_length'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ExamPage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
            ],
            options={
                'verbose_name': 'exams',
                'verbose_name_plural': 'exams',
                'permissions': (('view_exams', 'Can see the exams and their seats'), ('recount_exams', 'Can have exams counted and their counts corrected')),
                'managed': False,
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='LastCount',
            fields=[
                ('exam_id', models.CharField(max_length=20, primary_key=True, serialize=False, verbose_name='exam')),
                ('counted_at', models.DateTimeField(db_index=True, verbose_name='counted')),
                ('who', models.CharField(max_length=150, verbose_name='for')),
                ('stored', models.BigIntegerField(help_text='Before it was corrected; empty where unreadable.', null=True, verbose_name='HubSpot had')),
                ('actual', models.PositiveIntegerField(verbose_name='seats taken')),
                ('corrected', models.BooleanField(default=False)),
            ],
            options={
                'verbose_name': 'last count',
                'verbose_name_plural': 'last counts',
                'ordering': ('-counted_at', 'exam_id'),
            },
        ),
        migrations.CreateModel(
            name='CountRecord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('token', models.UUIDField(editable=False, unique=True)),
                ('at', models.DateTimeField(db_index=True, verbose_name='when')),
                ('who', models.CharField(max_length=150)),
                ('reason', models.CharField(blank=True, max_length=200, verbose_name='why')),
                ('kind', models.CharField(choices=[('recount', 'recount'), ('dry run', 'dry run')], max_length=10, verbose_name='what')),
                ('exam_id', models.CharField(max_length=20, verbose_name='exam')),
                ('stored', models.BigIntegerField(blank=True, null=True, verbose_name='HubSpot had')),
                ('actual', models.PositiveIntegerField(blank=True, null=True, verbose_name='counted')),
                ('corrected', models.BooleanField(default=False)),
                ('error', models.CharField(blank=True, max_length=500)),
                ('calls', models.PositiveIntegerField(blank=True, null=True, verbose_name='calls to HubSpot')),
                ('ended_at', models.DateTimeField(blank=True, null=True, verbose_name='ended')),
            ],
            options={
                'verbose_name': 'count on record',
                'verbose_name_plural': 'counts on record',
                'ordering': ('-at', '-id'),
                'indexes': [models.Index(fields=['exam_id', 'at'], name='count_record_exam')],
            },
        ),
        migrations.RunPython(grant_to_staff, remove_permissions),
    ]
