from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("cache", "0004_no_emails_in_undelivered_invalidations"),
    ]

    operations = [
        migrations.AddField(
            model_name="cacheinvalidation",
            name="token",
            field=models.UUIDField(
                editable=False,
                help_text="Of the form, which is one deed.",
                null=True,
                unique=True,
            ),
        ),
    ]
