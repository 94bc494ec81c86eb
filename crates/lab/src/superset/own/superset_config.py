"""A Superset for one machine: secrets in files beside this one, nothing from outside, live data."""

import os

_FOLDER = os.path.dirname(os.path.abspath(__file__))


def _secret(name):
    with open(os.path.join(_FOLDER, name)) as file:
        return file.read().strip()


SECRET_KEY = _secret("secret_key")
GUEST_TOKEN_JWT_SECRET = _secret("guest_key")
SQLALCHEMY_DATABASE_URI = "sqlite:///" + os.path.join(_FOLDER, "superset.db")
# Live data: nothing of a chart is kept. (The data cache is off unless DATA_CACHE_CONFIG is set.)
CACHE_DEFAULT_TIMEOUT = 10
SUPERSET_WEBSERVER_TIMEOUT = 120
RATELIMIT_STORAGE_URI = "memory://"
# A cookie per port: browsers share cookies between the ports of a host, and there may be another Superset.
SESSION_COOKIE_NAME = "superset_session_" + os.environ.get("WALHOUSE_SUPERSET_PORT", "")
# As the default, less the vendor's usage pixel and all outside hosts.
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}
