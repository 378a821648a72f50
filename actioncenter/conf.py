"""The Django settings, driven by the environment. docs/operator.md lists the variables.

The app named actioncenter.settings is something else: it holds what admins set inside the product.
"""

import sys
from pathlib import Path

from csp.constants import NONE, SELF

from actioncenter import environment, keys

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = environment.folder("ACTIONCENTER_DATA", BASE_DIR / "var")
SNAPSHOTS_DIR = environment.folder("ACTIONCENTER_SNAPSHOTS_DIR", DATA_DIR / "snapshots")
KEYS_DIR = environment.folder("ACTIONCENTER_KEYS_DIR", DATA_DIR / "keys")
# What tells a restored database from the one that was last worked with must not be restored with it.
ANCHOR_DIR = environment.folder("ACTIONCENTER_ANCHOR_DIR", DATA_DIR / "anchor")
# Copies of the seals of the audit log: the further from the database, the more they prove.
CHECKPOINTS_DIR = environment.folder("ACTIONCENTER_CHECKPOINTS_DIR", DATA_DIR / "checkpoints")
# What retention takes out of the audit log, as files that anybody can verify.
ARCHIVE_DIR = environment.folder("ACTIONCENTER_ARCHIVE_DIR", DATA_DIR / "archive")
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)

DEBUG = environment.flag("ACTIONCENTER_DEBUG")
HTTPS = environment.flag("ACTIONCENTER_HTTPS")
ALLOWED_HOSTS = environment.words("ACTIONCENTER_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = environment.words("ACTIONCENTER_ORIGINS")
PROXIES = environment.networks("ACTIONCENTER_PROXIES")

# Different keys: what one of them protects must survive the loss of another.
# Each has others beside it while it is rotated (actioncenter/keys.py).
_keys = keys.as_settings(KEYS_DIR)
SECRET_KEY: str = _keys["SECRET_KEY"]
SECRET_KEY_FALLBACKS: list[str] = _keys["SECRET_KEY_FALLBACKS"]
FIELD_KEY: bytes = _keys["FIELD_KEY"]
FIELD_KEY_FALLBACKS: list[bytes] = _keys["FIELD_KEY_FALLBACKS"]
AUDIT_KEY: bytes = _keys["AUDIT_KEY"]
AUDIT_KEY_FALLBACKS: list[bytes] = _keys["AUDIT_KEY_FALLBACKS"]
AUDIT_KEYS_RETIRED: list[bytes] = _keys["AUDIT_KEYS_RETIRED"]
SIGNING_KEY: bytes = _keys["SIGNING_KEY"]
SIGNING_KEY_FALLBACKS: list[bytes] = _keys["SIGNING_KEY_FALLBACKS"]
SIGNING_KEYS_RETIRED: list[bytes] = _keys["SIGNING_KEYS_RETIRED"]
CLICK_KEY: bytes = _keys["CLICK_KEY"]
CLICK_KEY_FALLBACKS: list[bytes] = _keys["CLICK_KEY_FALLBACKS"]
KEYS_SEEN: keys.Stamp = _keys["KEYS_SEEN"]

DATABASES = {
    "default": environment.database(
        "ACTIONCENTER_DATABASE_URL", f"sqlite:///{DATA_DIR / 'actioncenter.sqlite3'}"
    )
}
# Changes tables; the product itself works under the role above, which owns nothing.
DATABASE_OWNER = environment.owner("ACTIONCENTER_DATABASE_OWNER_URL", DATABASES["default"])
ALLOW_SINGLE_ROLE = environment.flag("ACTIONCENTER_ALLOW_SINGLE_ROLE")
ON_POSTGRES = DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    # Before Django's, whose commands change accounts without an event.
    "actioncenter.accounts",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    *(["django.contrib.postgres"] if ON_POSTGRES else []),
    "django_htmx",
    "django_filters",
    "csp",
    "actioncenter.web",
    "actioncenter.audit",
    "actioncenter.settings",
    "actioncenter.feeds",
    "investigations",
    "actioncenter.actions",
    "actioncenter.auditor",
    "actioncenter.live",
    "actioncenter.guide",
    "actioncenter.ops",
]

MIDDLEWARE = [
    "actioncenter.accounts.middleware.request_id",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "actioncenter.accounts.middleware.session_limits",
    "actioncenter.accounts.middleware.refusals_recorded",
    "actioncenter.accounts.middleware.signed_in_pages",
    "actioncenter.accounts.middleware.SignInRequired",
    "actioncenter.auditor.looking.noted",
]

ROOT_URLCONF = "actioncenter.urls"
WSGI_APPLICATION = "actioncenter.wsgi.application"
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
                "actioncenter.accounts.context.theme",
                "actioncenter.accounts.context.shortcuts",
                "actioncenter.live.context.nav",
            ],
        },
    }
]

# Sign-in
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "sign_in"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

# Transport. TLS ends at a proxy in front, which must set X-Forwarded-Proto and drop the client's own.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600
SESSION_ENGINE = "actioncenter.accounts.sessions"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# Subdomains and browser preload lists are the domain owner's decision, not this product's.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}

# Static files: collected by `manage.py up` into the data folder and served by the product itself.
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
# What connectors brought back, encrypted; never served from here. Several hosts need one folder.
MEDIA_ROOT = environment.folder("ACTIONCENTER_FILES_DIR", DATA_DIR / "files")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

# Mail: notices and nothing else. Without a server none is kept for later.
smtp = environment.smtp("ACTIONCENTER_SMTP_URL")
MAIL_ON = bool(smtp)
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if smtp else 'dummy'}.EmailBackend"
EMAIL_HOST = smtp.get("host", "")
EMAIL_PORT = smtp.get("port", 0)
EMAIL_HOST_USER = smtp.get("user", "")
EMAIL_HOST_PASSWORD = smtp.get("password", "")
EMAIL_USE_TLS = smtp.get("starttls", False)
EMAIL_USE_SSL = smtp.get("tls", False)
# Seconds, for every answer of the server.
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = environment.address("ACTIONCENTER_MAIL_FROM", needed=MAIL_ON)
PUBLIC_URL = environment.site("ACTIONCENTER_PUBLIC_URL")

# Somebody outside who notices when the sign of life no longer comes.
WATCHER_URL = environment.watcher("ACTIONCENTER_WATCHER_URL")
WATCHER_TOKEN = environment.text("ACTIONCENTER_WATCHER_TOKEN")
WATCHER_SECONDS = environment.seconds("ACTIONCENTER_WATCHER_SECONDS", 30)

# Background work. Without a broker `manage.py runner` is woken by a local datagram and polls.
CELERY_BROKER_URL = environment.text("ACTIONCENTER_BROKER_URL") or None
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = 16
CELERY_WORKER_CONSUMER = "actioncenter.actions.tasks:Consumer"
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SEND_TASK_EVENTS = False
# Its lines are written as ours are.
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# For ever: a worker without a broker still polls.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
if (CELERY_BROKER_URL or "").startswith("redis"):
    # Redis gives an unacknowledged message back only after an hour by default.
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 120,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
    }

# How long what a runner holds stays its own when it isn't heard of: twice what any call may take.
LEASE_SECONDS = 60.0

# So long views of pages are kept in memory before they are written.
VIEWS_FLUSH_SECONDS = 2.0

# Whether the log may be streamed to this machine itself, also without TLS; for tests and a local agent.
STREAMS_TO_LOOPBACK = environment.flag("ACTIONCENTER_STREAMS_TO_LOOPBACK")

# Figures for Prometheus; without a token there are none.
METRICS_TOKEN = environment.text("ACTIONCENTER_METRICS_TOKEN")

LOG_LEVEL = environment.choice(
    "ACTIONCENTER_LOG_LEVEL", "INFO", frozenset({"DEBUG", "INFO", "WARNING", "ERROR"})
)
# For people on a terminal and where all runs on one machine, for a collector elsewhere.
FOR_PEOPLE = sys.stderr.isatty() or not (ON_POSTGRES or CELERY_BROKER_URL)
LOG_FORMAT = environment.choice(
    "ACTIONCENTER_LOG_FORMAT", "text" if FOR_PEOPLE else "json", frozenset({"text", "json"})
)
# Whatever happens, these are in no line.
SECRETS = [
    *[SECRET_KEY, *SECRET_KEY_FALLBACKS],
    *[key.decode() for key in (FIELD_KEY, *FIELD_KEY_FALLBACKS)],
    METRICS_TOKEN,
    DATABASES["default"].get("PASSWORD", ""),
    (DATABASE_OWNER or {}).get("PASSWORD", ""),
    EMAIL_HOST_PASSWORD,
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {
            "()": "actioncenter.logs.OneLineFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
            "secrets": SECRETS,
        },
        "json": {"()": "actioncenter.logs.OneObjectFormatter", "secrets": SECRETS},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {"django": {"handlers": [], "level": "INFO", "propagate": True}},
}
