"""What waits in the table may name keys with e-mails in clear, as the release before wrote them.
Such a row flushes instead: whoever delivers it removes what the keys named, and more."""

from django.db import migrations


def flush_instead(apps, schema_editor):
    rows = apps.get_model("cache", "UndeliveredInvalidation").objects
    for row in rows.all():
        keys = [key for key in row.keys if "@" not in key]
        if keys != row.keys:
            row.keys, row.flush = keys, True
            row.save(update_fields=["keys", "flush"])


class Migration(migrations.Migration):

    dependencies = [
        ("cache", "0003_undelivered_invalidations"),
    ]

    operations = [
        migrations.RunPython(flush_instead, migrations.RunPython.noop),
    ]
