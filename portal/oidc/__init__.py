"""Signing in with an account elsewhere, by OpenID Connect. Imports nothing of ours, neither Flask nor SQLAlchemy."""
