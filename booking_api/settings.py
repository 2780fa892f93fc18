"""Settings: the only reader of the environment and of `.env`, into typed values.

Each variable is declared once, where it is used. A value that cannot work stops the start with a
sentence naming its variable. What is missing or weak only for production is for `checks.py` to say.
"""

from __future__ import annotations

import hashlib
import os

from booking_api.backing_services import caches, database
from booking_api.desk.config import DeskConfig
from booking_api.env_types import (
    LOOPBACK,
    boolean,
    csv,
    directory,
    integer,
    networks,
    number,
    one_of,
    rate,
    some_of,
    web_address,
)
from booking_api.env_variables import BASE_DIR, configured_secrets, declare, read, read_config
from cache_layer.config import DEFAULT_TTLS_S, MAX_TTL_S, CacheConfig
from hubspot_sync.config import HubSpotConfig, JournalConfig


def hubspot_config() -> HubSpotConfig:
    return read_config(
        HubSpotConfig,
        {
            "base_url": "HUBSPOT_BASE_URL",
            "token": "HS_PRIVATE_APP_TOKEN",
            "api_version": "HUBSPOT_API_VERSION",
            "requests_per_window": "HUBSPOT_RATE_LIMIT",
            "window_s": "HUBSPOT_RATE_WINDOW_S",
            "searches_per_second": "HUBSPOT_SEARCH_RATE",
            "daily_limit": "HUBSPOT_DAILY_LIMIT",
            "background_share": "HUBSPOT_BACKGROUND_SHARE",
            "anonymous_share": "HUBSPOT_ANONYMOUS_SHARE",
            "reserved_share": "HUBSPOT_RESERVED_SHARE",
            "desk_share": "HUBSPOT_DESK_SHARE",
            "search_lag_s": "HUBSPOT_SEARCH_LAG_S",
            "connect_timeout_s": "HUBSPOT_CONNECT_TIMEOUT_S",
            "read_timeout_s": "HUBSPOT_READ_TIMEOUT_S",
            "request_deadline_s": "REQUEST_DEADLINE_S",
            "pool_size": "HUBSPOT_POOL_SIZE",
            "max_attempts": "HUBSPOT_MAX_ATTEMPTS",
            "breaker_failures": "HUBSPOT_BREAKER_FAILURES",
            "breaker_cooldown_s": "HUBSPOT_BREAKER_COOLDOWN_S",
        },
    )


def journal_config(hubspot: HubSpotConfig, *, debug: bool) -> JournalConfig:
    """Only a developer's machine has files to fetch from a private network: the sandbox's."""
    return read_config(
        JournalConfig,
        {
            "client_id": "HUBSPOT_CLIENT_ID",
            "client_secret": "HUBSPOT_CLIENT_SECRET",
            "portal_id": "HUBSPOT_PORTAL_ID",
            "max_file_bytes": "HUBSPOT_JOURNAL_FILE_BYTES",
            "hears_of_all_objects": "HUBSPOT_JOURNAL_ALL_OBJECTS",
        },
        base_url=hubspot.base_url,
        api_version=hubspot.api_version,
        connect_timeout_s=hubspot.connect_timeout_s,
        read_timeout_s=hubspot.read_timeout_s,
        breaker_failures=hubspot.breaker_failures,
        breaker_cooldown_s=hubspot.breaker_cooldown_s,
        allow_private_files=debug,
    )


def desk_config() -> DeskConfig:
    return read_config(
        DeskConfig,
        {
            "lease_s": "DESK_LEASE_S",
            "grace_s": "DESK_GRACE_S",
            "late_write_s": "HUBSPOT_LATE_WRITE_S",
            "retention_days": "JOURNAL_RETENTION_DAYS",
        },
    )


def cache_prefix(hubspot: HubSpotConfig, portal: str, name: str) -> str:
    """Return a prefix of this deployment's own. It stays what it is while the token is replaced:
    processes with the old one and with the new one must hear of each other's invalidations."""
    identity = f"{hubspot.base_url} {portal} {name}"
    return f"mock-exams-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def cache_origin(hubspot: HubSpotConfig, portal: str) -> str:
    """Return what says whose values a process has read: with another token they may be those of
    another account, and are never served, whoever shares the prefix by mistake."""
    identity = f"{hubspot.base_url} {portal} {hubspot.token}"
    return hashlib.sha256(identity.encode()).hexdigest()


def cache_config(
    *,
    redis_url: str,
    key_prefix: str,
    origin: str,
    key_secrets: tuple[str, ...],
    settle_s: float,
) -> CacheConfig:
    return read_config(
        CacheConfig,
        {
            "enabled": "CACHE_ENABLED",
            "max_entries": "CACHE_MAX_ENTRIES",
            "max_bytes": "CACHE_MAX_BYTES",
            "rollout_percentage": "CACHE_ROLLOUT_PERCENTAGE",
            "ttl_confirmed_s": "CACHE_TTL_CONFIRMED_S",
            "feed_max_silence_s": "FEED_MAX_SILENCE_S",
        },
        ttls_s={
            name: read(name, number, ttl_s, maximum=MAX_TTL_S)
            for name, ttl_s in DEFAULT_TTLS_S.items()
        },
        redis_url=redis_url,
        key_prefix=key_prefix,
        origin=origin,
        key_secrets=key_secrets,
        settle_s=settle_s,
    )


DEBUG: bool = read("DEBUG", boolean, False)
# Enough for sessions on one's own machine; checks.py refuses it everywhere else.
SECRET_KEY: str = read("SECRET_KEY", str, "") or "for development only"
# The ones before it, while what they signed or hid is still about: sessions, cursors of lists, and
# e-mails in keys of the cache.
SECRET_KEY_FALLBACKS: list[str] = read("SECRET_KEY_FALLBACKS", csv, [])
hosts: list[str] = read("ALLOWED_HOSTS", csv, ["localhost", "127.0.0.1", "[::1]"])
ALLOWED_HOSTS: list[str] = ["*"] if DEBUG else hosts
CSRF_TRUSTED_ORIGINS: list[str] = read("CSRF_TRUSTED_ORIGINS", csv, [])

DATABASE_URL: str = read("DATABASE_URL", str, "")
pool_size = declare("DATABASE_POOL_SIZE", integer, 10, minimum=2, maximum=10_000)
limits_session: bool = read("DATABASE_SESSION_LIMITS", boolean, True)
REDIS_URL: str = read("REDIS_URL", str, "")
HUBSPOT: HubSpotConfig = hubspot_config()
HUBSPOT_JOURNAL: JournalConfig = journal_config(HUBSPOT, debug=DEBUG)
HUBSPOT_PORTAL: str = read("HUBSPOT_PORTAL", str, "default")
# Where people see the portal's records, for links in the console.
HUBSPOT_RECORDS_URL: str = read("HUBSPOT_RECORDS_URL", web_address, "")
# How late the change feed may show a booking that we have made before it proves nothing any more.
FEED_MAX_DELAY_S: float = read("FEED_MAX_DELAY_S", number, 60.0, minimum=1)
# Of two deployments that share a Redis, which this is.
DEPLOYMENT_NAME: str = read("DEPLOYMENT_NAME", str, "")
CACHE: CacheConfig = cache_config(
    redis_url=REDIS_URL,
    key_prefix=cache_prefix(HUBSPOT, HUBSPOT_PORTAL, DEPLOYMENT_NAME),
    origin=cache_origin(HUBSPOT, HUBSPOT_PORTAL),
    key_secrets=(SECRET_KEY, *SECRET_KEY_FALLBACKS),
    # What is loaded while search lags behind an event is not to be kept for hours.
    settle_s=HUBSPOT.search_lag_s,
)
DESK: DeskConfig = desk_config()
# Whether a stored count that a realtime count shows to be wrong is corrected. Not in a benchmark,
# whose counts are wrong on purpose and whose database is somebody's own.
CORRECT_COUNTS: bool = True
# What the cache's own page and command are given; see cache_layer/operating/host.py.
CACHE_HOST: str = "booking_api.composition.cache_host"
CRON_SECRET: str = read("CRON_SECRET", str, "")
# Several while one replaces another: HubSpot may still sign with the old one.
HUBSPOT_WEBHOOK_SECRETS: list[str] = read("HUBSPOT_WEBHOOK_SECRET", csv, [])
HUBSPOT_WEBHOOK_SIGNATURES: list[str] = read(
    "HUBSPOT_WEBHOOK_SIGNATURES", some_of("v3", "v2", "v1"), ["v3", "v1"]
)
WEBHOOK_SOURCES: list[str] = read("WEBHOOK_SOURCES", networks, [])
PUBLIC_BASE_URL: str = read("PUBLIC_BASE_URL", web_address, "")
# HubSpot repeats what it could not deliver for a day, and a repeat should be recognised.
WEBHOOK_RETENTION_DAYS: int = read("WEBHOOK_RETENTION_DAYS", integer, 7, minimum=2)
SCHEDULER: bool = read("SCHEDULER", boolean, True)
RECOUNT_EVERY_S: int = read("RECOUNT_EVERY_S", integer, 600, minimum=10)
VALIDATE_EVERY_S: int = read("VALIDATE_EVERY_S", integer, 3_600, minimum=10)
# What is loaded before anybody asks for it, while the scheduler runs: `exams`; with `proven`, what
# students who were here lately will ask for too, while the change feed proves that it stays fresh;
# with `always`, without that proof as well, for a call for every hundred of them each minute or so.
WARM_CACHE: str = read("WARM_CACHE", one_of("off", "exams", "proven", "always"), "proven")
WARM_EVERY_S: int = read("WARM_EVERY_S", integer, 60, minimum=5)
# For so many days after their last request students count as active; 0 keeps no note of them.
WARM_STUDENT_DAYS: int = read("WARM_STUDENT_DAYS", integer, 14, minimum=0)
# Readiness is learnt from the traffic; without any for so long, one call in the background asks.
READY_PROBE_AFTER_S: float = read("READY_PROBE_AFTER_S", number, 15.0, minimum=2)
TRUSTED_PROXIES: list[str] = read("TRUSTED_PROXIES", networks, [])
THROTTLE_RATES: dict[str, tuple[int, int] | None] = {
    "reads": read("THROTTLE_READS", rate, (3000, 60)),
    "writes": read("THROTTLE_WRITES", rate, (60, 60)),
    "failed_pairs": read("THROTTLE_FAILED_PAIRS", rate, (30, 60)),
    "failed_secrets": read("THROTTLE_FAILED_SECRETS", rate, (30, 60)),
    "failed_logins": read("THROTTLE_FAILED_LOGINS", rate, (20, 3_600)),
}
THROTTLE_ANONYMOUS_CALLS: tuple[int, int] | None = read("THROTTLE_ANONYMOUS_CALLS", rate, (300, 60))
MAX_BODY_BYTES: int = read("MAX_BODY_BYTES", integer, 1_048_576, minimum=1)
METRICS_NETWORKS: list[str] = read("METRICS_NETWORKS", networks, list(LOOPBACK))
METRICS_TOKEN: str = read("METRICS_TOKEN", str, "")
# A hundred events, each of them with a value of 65 536 characters.
MAX_WEBHOOK_BODY_BYTES: int = read("MAX_WEBHOOK_BODY_BYTES", integer, 8_388_608, minimum=1)
BODY_TIMEOUT_S: float = read("BODY_TIMEOUT_S", number, 10.0, minimum=1)
MAX_BODIES_BYTES: int = read("MAX_BODIES_BYTES", integer, 67_108_864, minimum=16_777_216)
MAX_ADDRESS_BODIES_BYTES: int = read("MAX_ADDRESS_BODIES_BYTES", integer, 16_777_216, minimum=0)
PROMETHEUS_MULTIPROC_DIR: str = read("PROMETHEUS_MULTIPROC_DIR", directory, "")
if PROMETHEUS_MULTIPROC_DIR == "":
    # `prometheus_client` would take it for the current folder.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
SERVER_WORKERS: int = read("SERVER_WORKERS", integer, 1, minimum=1, maximum=1_000)
SERVER_THREADS: int = read("SERVER_THREADS", integer, 128, minimum=1, maximum=10_000)
MAX_QUEUED_REQUESTS: int = read("MAX_QUEUED_REQUESTS", integer, 1_024, minimum=1)
# By default longer than a request's deadline, so that a stop cuts nobody off.
STOP_TIMEOUT_S: int = read("STOP_TIMEOUT_S", integer, 30, minimum=5)
# What other servers call their number of processes; only the check for a shared cache asks.
PROCESSES: int = max(
    SERVER_WORKERS,
    read("WEB_CONCURRENCY", integer, 1, minimum=1),
    read("GRANIAN_WORKERS", integer, 1, minimum=1),
)

INSTALLED_APPS = [
    "booking_api.ops.console_site.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "booking_api",
    "hubspot_sync",
    "cache_layer",
]

MIDDLEWARE = [
    "booking_api.api.context.RequestContextMiddleware",
    "booking_api.api.middleware.short_way.ShortWayMiddleware",
    "booking_api.api.middleware.odd_requests.OddRequestMiddleware",
    "booking_api.api.proxies.ForwardedProtoMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "booking_api.api.middleware.content_policy.ContentPolicyMiddleware",
    "booking_api.api.middleware.compression.PublicGZipMiddleware",
    "booking_api.api.middleware.refusals.RefusalMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "booking_api.api.views.monitoring.AnyHostMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "booking_api.api.middleware.portal_time.PortalTimeMiddleware",
]

ROOT_URLCONF = "booking_api.urls"
WSGI_APPLICATION = "booking_api.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": database(DATABASE_URL, pool_size, limits_session=limits_session)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = caches(REDIS_URL)

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
FORMAT_MODULE_PATH = "booking_api.admin.date_formats"

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_USE_FINDERS = DEBUG

SESSION_COOKIE_SECURE = not DEBUG
# Only staff, who have a session, are told anything. Django's default makes a signer of cookies for
# every request besides.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
CSRF_COOKIE_SECURE = not DEBUG
hsts_seconds = declare("HSTS_SECONDS", integer, 31_536_000, minimum=0, maximum=3_153_600_000)
SECURE_HSTS_SECONDS: int = 0 if DEBUG else hsts_seconds.read()
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SILENCED_SYSTEM_CHECKS = [
    "security.W008",  # a redirect would turn a client's POST into a GET; TLS is the proxy's job
    "security.W005",  # other names under this domain are not ours to decide about,
    "security.W021",  # nor is a browser's preload list
]

DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES

origins: list[str] = read("CORS_ALLOWED_ORIGINS", csv, ["*"])
CORS_ALLOWED_ORIGINS: list[str] = [origin for origin in origins if origin != "*"]
CORS_ALLOW_ALL_ORIGINS: bool = "*" in origins
CORS_ALLOW_CREDENTIALS = False
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = [
    *("accept", "authorization", "content-type", "x-request-id"),
    *("idempotency-key", "x-idempotency-key", "x-requested-with", "if-none-match"),
]
CORS_EXPOSE_HEADERS = ["x-request-id", "server-timing", "retry-after", "etag"]

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["booking_api.api.envelope.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["booking_api.api.envelope.JsonParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "booking_api.api.envelope.Negotiation",
    "DEFAULT_METADATA_CLASS": "booking_api.api.envelope.AllowedMethods",
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_THROTTLE_CLASSES": [],
    "DEFAULT_SCHEMA_CLASS": "booking_api.api.schema.generation.ApiSchema",
    "EXCEPTION_HANDLER": "booking_api.api.errors.answer_exception",
    "UNAUTHENTICATED_USER": None,
    # `?format=` would be a second, undocumented content negotiation.
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Mock Exam Booking API",
    "DESCRIPTION": "Students see, book and cancel seats in mock exams; HubSpot holds the truth.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    # A PATCH names its student like every request, and is no partial one.
    "COMPONENT_SPLIT_PATCH": False,
    "PREPROCESSING_HOOKS": ["booking_api.api.schema.generation.drop_unoffered_endpoints"],
    "POSTPROCESSING_HOOKS": ["booking_api.api.schema.generation.add_texts"],
    "DISABLE_DOCSTRING_DESCRIPTIONS": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    # As the routes are written: students' first.
    "SORT_OPERATIONS": False,
}

LOGGING_CONFIG = "booking_api.ops.logs.configuration.configure"
LOGGING = {
    "level": read("LOG_LEVEL", one_of("DEBUG", "INFO", "WARNING", "ERROR"), "INFO"),
    "format": read("LOG_FORMAT", one_of("console", "json"), "console"),
    "secrets": configured_secrets(),
}
