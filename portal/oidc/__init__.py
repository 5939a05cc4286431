"""OpenID Connect client for Google and Microsoft. A leaf: imports no other package of the portal, nor Flask or
SQLAlchemy."""
