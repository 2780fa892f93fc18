"""The server's entry: an unsafe configuration is refused here too, whatever server loads it."""

from __future__ import annotations

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "booking_api.settings")

django_application = get_wsgi_application()

from booking_api.api.middleware.odd_requests import leave_out_charset  # noqa: E402 - needs Django set up
from booking_api.api.middleware.warm_way import WarmWay  # noqa: E402 - as above
from booking_api.checks import refuse_unsafe_start  # noqa: E402 - as above
from booking_api.ops import lifecycle  # noqa: E402 - as above

application = leave_out_charset(WarmWay(django_application))
refuse_unsafe_start()
lifecycle.start_serving()

# What Django has loaded stays as long as the process. Looking through it for garbage as often as
# Python does by default takes a tenth of a warm list's time (docs/benchmarks.md).
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 100)
