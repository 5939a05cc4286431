"""Flask extensions without an application: `create_app` binds them, blueprints and packages import them from here."""

from flask import request
from flask_compress import Compress
from flask_limiter import Limiter
from flask_login import LoginManager
from flask_wtf.csrf import CSRFProtect

from portal.core.client_hash import client_network
from portal.core.translations import CachedBabel


def client_network_of_request() -> str:
    """Key of a rate limit: the network of the client, since one person's IPv6 address changes by the hour."""
    return client_network(request.remote_addr)


babel = CachedBabel()
compress = Compress()
csrf = CSRFProtect()
limiter = Limiter(key_func=client_network_of_request, default_limits=[], swallow_errors=True, headers_enabled=False)
login_manager = LoginManager()
