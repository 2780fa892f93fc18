"""What granian loads in each worker: the application behind the server's bounds, put together."""

from __future__ import annotations

from django.conf import settings

from booking_api import composition
from booking_api.ops import lifecycle
from booking_api.server.application import ServerApplication
from booking_api.server.config import ServerConfig
from booking_api.server.memory import return_memory_early
from booking_api.server.parent import end_with_parent
from booking_api.wsgi import application as wsgi_application


def read_config() -> ServerConfig:
    return ServerConfig(
        threads=settings.SERVER_THREADS,
        workers=settings.SERVER_WORKERS,
        max_queued=settings.MAX_QUEUED_REQUESTS,
        max_wait_s=settings.HUBSPOT.request_deadline_s,
        max_body_bytes=settings.MAX_BODY_BYTES,
        max_webhook_body_bytes=settings.MAX_WEBHOOK_BODY_BYTES,
        body_timeout_s=settings.BODY_TIMEOUT_S,
        stop_timeout_s=settings.STOP_TIMEOUT_S,
        max_bodies_bytes=settings.MAX_BODIES_BYTES,
        max_address_bodies_bytes=settings.MAX_ADDRESS_BODIES_BYTES,
        trusted_proxies=tuple(settings.TRUSTED_PROXIES),
    )


return_memory_early()
end_with_parent()
application = ServerApplication(
    wsgi_application, read_config(), on_stop=composition.hand_on, on_end=lifecycle.end_serving
)
