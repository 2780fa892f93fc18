"""Settings: the only reader of the environment and of `.env`, into typed values.

`VARIABLES` names every variable with its meaning's type and its default; `.env.example` lists the
same. A value that cannot work stops the start with a sentence naming its variable. What is missing
or weak only for production is for `checks.py` to say.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from booking_api.desk.config import DeskConfig
from booking_api.env_types import (
    boolean,
    csv,
    directory,
    integer,
    networks,
    number,
    one_of,
    rate,
    web_address,
)
from cache_layer.config import DEFAULT_TTLS_S, CacheConfig
from cache_layer.errors import ConfigurationError as CacheConfigurationError
from hubspot_sync.config import HubSpotConfig
from hubspot_sync.errors import ConfigurationError

BASE_DIR = Path(__file__).resolve().parent.parent


LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
DEFAULT_HUBSPOT = HubSpotConfig()
DEFAULT_CACHE = CacheConfig()
DEFAULT_DESK = DeskConfig()

VARIABLES: dict[str, tuple[Callable[[str], Any], Any]] = {
    "DEBUG": (boolean, False),
    "SECRET_KEY": (str, ""),
    "ALLOWED_HOSTS": (csv, ["localhost", "127.0.0.1", "[::1]"]),
    "CSRF_TRUSTED_ORIGINS": (csv, []),
    "CORS_ALLOWED_ORIGINS": (csv, ["*"]),
    "TRUSTED_PROXIES": (networks, []),
    "HSTS_SECONDS": (integer, 31_536_000),
    "DATABASE_URL": (str, ""),
    "DATABASE_POOL_SIZE": (integer, 10),
    "REDIS_URL": (str, ""),
    "CRON_SECRET": (str, ""),
    "HUBSPOT_WEBHOOK_SECRET": (csv, []),
    "PUBLIC_BASE_URL": (web_address, ""),
    "WEBHOOK_RETENTION_DAYS": (integer, 7),
    "SCHEDULER": (boolean, True),
    "RECOUNT_EVERY_S": (integer, 600),
    "VALIDATE_EVERY_S": (integer, 3_600),
    "HS_PRIVATE_APP_TOKEN": (str, ""),
    "HUBSPOT_BASE_URL": (str, DEFAULT_HUBSPOT.base_url),
    "HUBSPOT_API_VERSION": (str, DEFAULT_HUBSPOT.api_version),
    "HUBSPOT_PORTAL": (str, "default"),
    "HUBSPOT_RATE_LIMIT": (integer, DEFAULT_HUBSPOT.requests_per_window),
    "HUBSPOT_RATE_WINDOW_S": (number, DEFAULT_HUBSPOT.window_s),
    "HUBSPOT_SEARCH_RATE": (integer, DEFAULT_HUBSPOT.searches_per_second),
    "HUBSPOT_DAILY_LIMIT": (integer, DEFAULT_HUBSPOT.daily_limit),
    "HUBSPOT_BACKGROUND_SHARE": (number, DEFAULT_HUBSPOT.background_share),
    "HUBSPOT_CONNECT_TIMEOUT_S": (number, DEFAULT_HUBSPOT.connect_timeout_s),
    "HUBSPOT_READ_TIMEOUT_S": (number, DEFAULT_HUBSPOT.read_timeout_s),
    "HUBSPOT_POOL_SIZE": (integer, DEFAULT_HUBSPOT.pool_size),
    "HUBSPOT_MAX_ATTEMPTS": (integer, DEFAULT_HUBSPOT.max_attempts),
    "HUBSPOT_BREAKER_FAILURES": (integer, DEFAULT_HUBSPOT.breaker_failures),
    "HUBSPOT_BREAKER_COOLDOWN_S": (number, DEFAULT_HUBSPOT.breaker_cooldown_s),
    "CACHE_ENABLED": (boolean, DEFAULT_CACHE.enabled),
    "CACHE_MAX_ENTRIES": (integer, DEFAULT_CACHE.max_entries),
    "CACHE_ROLLOUT_PERCENTAGE": (number, DEFAULT_CACHE.rollout_percentage),
    **{name: (number, ttl_s) for name, ttl_s in DEFAULT_TTLS_S.items()},
    "DESK_LEASE_S": (number, DEFAULT_DESK.lease_s),
    "DESK_GRACE_S": (number, DEFAULT_DESK.grace_s),
    "JOURNAL_RETENTION_DAYS": (integer, DEFAULT_DESK.retention_days),
    "REQUEST_DEADLINE_S": (number, DEFAULT_HUBSPOT.request_deadline_s),
    "MAX_BODY_BYTES": (integer, 1_048_576),
    "THROTTLE_READS": (rate, (3000, 60)),
    "THROTTLE_WRITES": (rate, (60, 60)),
    "THROTTLE_FAILED_PAIRS": (rate, (30, 60)),
    "LOG_LEVEL": (one_of(*LOG_LEVELS), "INFO"),
    "LOG_FORMAT": (one_of("console", "json"), "console"),
    "PROMETHEUS_MULTIPROC_DIR": (directory, ""),
    "SERVER_WORKERS": (integer, 1),
    "SERVER_THREADS": (integer, 128),
    "WEB_CONCURRENCY": (integer, 1),
    "GRANIAN_WORKERS": (integer, 1),
}

environment = environ.Env(**VARIABLES)
# An empty ENV_FILE means none: the tests must not depend on a developer's own.
env_file = os.environ.get("ENV_FILE", str(BASE_DIR / ".env"))
if env_file and Path(env_file).is_file():
    environ.Env.read_env(env_file)


def read(name: str) -> Any:
    """Return a variable's typed value; raise ImproperlyConfigured with a sentence naming it."""
    try:
        return environment(name)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name} must be {error}, not {os.environ.get(name)!r}."
        ) from error


def at_least(name: str, smallest: int) -> int:
    value = int(read(name))
    if value < smallest:
        raise ImproperlyConfigured(f"{name} must be at least {smallest}, not {value}.")
    return value


def hubspot_config() -> HubSpotConfig:
    try:
        return HubSpotConfig(
            base_url=read("HUBSPOT_BASE_URL"),
            token=read("HS_PRIVATE_APP_TOKEN"),
            api_version=read("HUBSPOT_API_VERSION"),
            requests_per_window=read("HUBSPOT_RATE_LIMIT"),
            window_s=read("HUBSPOT_RATE_WINDOW_S"),
            searches_per_second=read("HUBSPOT_SEARCH_RATE"),
            daily_limit=read("HUBSPOT_DAILY_LIMIT"),
            background_share=read("HUBSPOT_BACKGROUND_SHARE"),
            connect_timeout_s=read("HUBSPOT_CONNECT_TIMEOUT_S"),
            read_timeout_s=read("HUBSPOT_READ_TIMEOUT_S"),
            request_deadline_s=read("REQUEST_DEADLINE_S"),
            pool_size=read("HUBSPOT_POOL_SIZE"),
            max_attempts=read("HUBSPOT_MAX_ATTEMPTS"),
            breaker_failures=read("HUBSPOT_BREAKER_FAILURES"),
            breaker_cooldown_s=read("HUBSPOT_BREAKER_COOLDOWN_S"),
        )
    except ConfigurationError as error:
        raise ImproperlyConfigured(str(error)) from error


def desk_config() -> DeskConfig:
    try:
        return DeskConfig(
            lease_s=read("DESK_LEASE_S"),
            grace_s=read("DESK_GRACE_S"),
            retention_days=read("JOURNAL_RETENTION_DAYS"),
        )
    except ConfigurationError as error:
        raise ImproperlyConfigured(str(error)) from error


def cache_prefix() -> str:
    """Return a prefix of this portal's own: two deployments may share a Redis, never entries."""
    portal = " ".join(
        (read("HUBSPOT_BASE_URL"), read("HUBSPOT_PORTAL"), read("HS_PRIVATE_APP_TOKEN"))
    )
    return f"mock-exams-{hashlib.sha256(portal.encode()).hexdigest()[:12]}"


def cache_config() -> CacheConfig:
    try:
        return CacheConfig(
            enabled=read("CACHE_ENABLED"),
            ttls_s={name: read(name) for name in DEFAULT_TTLS_S},
            max_entries=read("CACHE_MAX_ENTRIES"),
            rollout_percentage=read("CACHE_ROLLOUT_PERCENTAGE"),
            redis_url=read("REDIS_URL"),
            key_prefix=cache_prefix(),
        )
    except CacheConfigurationError as error:
        raise ImproperlyConfigured(str(error)) from error


def database() -> dict[str, Any]:
    url = read("DATABASE_URL") or f"sqlite:///{BASE_DIR / 'db.sqlite3'}"
    if not url.startswith(("sqlite:///", "postgres://", "postgresql://")):
        raise ImproperlyConfigured(
            "DATABASE_URL must be an address as sqlite:///file or postgres://user:password@host/name."
        )
    config: dict[str, Any] = environ.Env.db_url_config(url)
    if config["ENGINE"] == "django.db.backends.sqlite3":
        # Readers beside one writer; a writer waits its turn at BEGIN instead of failing half-way.
        config["OPTIONS"] = {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        }
    else:
        # Threads outnumber the connections a server allows; each has one only while it uses it.
        size = at_least("DATABASE_POOL_SIZE", 2)
        pool = {"min_size": 0, "max_size": size, "timeout": 5}
        # What the address itself says, such as sslmode, stays.
        given = config.get("OPTIONS", {})
        config["OPTIONS"] = {"connect_timeout": 3} | given | {"pool": pool}
    return config


def caches() -> dict[str, Any]:
    url = read("REDIS_URL")
    if not url:
        local = "django.core.cache.backends.locmem.LocMemCache"
        bound = {"MAX_ENTRIES": 100_000}
        return {
            "default": {"BACKEND": local, "LOCATION": "default"},
            "throttles": {"BACKEND": local, "LOCATION": "throttles", "OPTIONS": bound},
        }
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ImproperlyConfigured(f"REDIS_URL must be an address as redis://host/0, not {url!r}.")
    quick = {"SOCKET_CONNECT_TIMEOUT": 1, "SOCKET_TIMEOUT": 1}
    # Redis down must not stop the API: then nobody is throttled, and it is logged.
    forgiving = quick | {"IGNORE_EXCEPTIONS": True, "LOG_IGNORED_EXCEPTIONS": True}
    shared = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url}
    return {
        "default": shared | {"OPTIONS": quick, "KEY_PREFIX": "mocks"},
        "throttles": shared | {"OPTIONS": forgiving, "KEY_PREFIX": "mocks-throttle"},
    }


DEBUG: bool = read("DEBUG")
# Enough for sessions on one's own machine; checks.py refuses it everywhere else.
SECRET_KEY: str = read("SECRET_KEY") or "for development only"
ALLOWED_HOSTS: list[str] = ["*"] if DEBUG else read("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS: list[str] = read("CSRF_TRUSTED_ORIGINS")

HUBSPOT: HubSpotConfig = hubspot_config()
CACHE: CacheConfig = cache_config()
DESK: DeskConfig = desk_config()
# Whether a stored count that a realtime count shows to be wrong is corrected. Not in a benchmark,
# whose counts are wrong on purpose and whose database is somebody's own.
CORRECT_COUNTS: bool = True
# What the cache's own page and command are given; see cache_layer/operating/host.py.
CACHE_HOST: str = "booking_api.composition.cache_host"
HUBSPOT_PORTAL: str = read("HUBSPOT_PORTAL")
CRON_SECRET: str = read("CRON_SECRET")
# Several while one replaces another: HubSpot may still sign with the old one.
HUBSPOT_WEBHOOK_SECRETS: list[str] = read("HUBSPOT_WEBHOOK_SECRET")
PUBLIC_BASE_URL: str = read("PUBLIC_BASE_URL")
# HubSpot repeats what it could not deliver for a day, and a repeat should be recognised.
WEBHOOK_RETENTION_DAYS: int = at_least("WEBHOOK_RETENTION_DAYS", 2)
SCHEDULER: bool = read("SCHEDULER")
RECOUNT_EVERY_S: int = at_least("RECOUNT_EVERY_S", 10)
VALIDATE_EVERY_S: int = at_least("VALIDATE_EVERY_S", 10)
REDIS_URL: str = read("REDIS_URL")
DATABASE_URL: str = read("DATABASE_URL")
TRUSTED_PROXIES: list[str] = read("TRUSTED_PROXIES")
THROTTLE_RATES: dict[str, tuple[int, int] | None] = {
    "reads": read("THROTTLE_READS"),
    "writes": read("THROTTLE_WRITES"),
    "failed_pairs": read("THROTTLE_FAILED_PAIRS"),
}
MAX_BODY_BYTES: int = at_least("MAX_BODY_BYTES", 1)
PROMETHEUS_MULTIPROC_DIR: str = read("PROMETHEUS_MULTIPROC_DIR")
SERVER_WORKERS: int = at_least("SERVER_WORKERS", 1)
SERVER_THREADS: int = at_least("SERVER_THREADS", 1)
# What other servers call their number of processes; only the check for a shared cache asks.
PROCESSES: int = max(SERVER_WORKERS, at_least("WEB_CONCURRENCY", 1), at_least("GRANIAN_WORKERS", 1))

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
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
    "booking_api.api.proxies.ForwardedProtoMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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

DATABASES = {"default": database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = caches()
DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static"
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_USE_FINDERS = DEBUG

SESSION_COOKIE_SECURE = not DEBUG
CSRF_COOKIE_SECURE = not DEBUG
SECURE_HSTS_SECONDS: int = 0 if DEBUG else at_least("HSTS_SECONDS", 0)
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SILENCED_SYSTEM_CHECKS = [
    "security.W008",  # a redirect would turn a client's POST into a GET; TLS is the proxy's job
    "security.W005",  # other names under this domain are not ours to decide about,
    "security.W021",  # nor is a browser's preload list
]

DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES

CORS_ALLOWED_ORIGINS: list[str] = [o for o in read("CORS_ALLOWED_ORIGINS") if o != "*"]
CORS_ALLOW_ALL_ORIGINS: bool = "*" in read("CORS_ALLOWED_ORIGINS")
CORS_ALLOW_CREDENTIALS = False
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = [
    *("accept", "authorization", "content-type", "x-request-id"),
    *("idempotency-key", "x-idempotency-key"),
]
CORS_EXPOSE_HEADERS = ["x-request-id", "server-timing", "retry-after"]

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["booking_api.api.envelope.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["booking_api.api.envelope.JsonParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "booking_api.api.envelope.Negotiation",
    "DEFAULT_METADATA_CLASS": "booking_api.api.envelope.AllowedMethods",
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_THROTTLE_CLASSES": [],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "booking_api.api.errors.answer_exception",
    "UNAUTHENTICATED_USER": None,
    # `?format=` would be a second, undocumented content negotiation.
    "URL_FORMAT_OVERRIDE": None,
}

UNFOLD = {"SITE_TITLE": "Mock Exam Booking", "SITE_HEADER": "Mock Exam Booking"}

SPECTACULAR_SETTINGS = {
    "TITLE": "Mock Exam Booking API",
    "DESCRIPTION": "Students see, book and cancel seats in mock exams; HubSpot holds the truth.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "PREPROCESSING_HOOKS": ["booking_api.api.openapi.drop_unoffered_endpoints"],
}

LOGGING_CONFIG = "booking_api.ops.logs.configure"
LOGGING = {"level": read("LOG_LEVEL"), "format": read("LOG_FORMAT")}
