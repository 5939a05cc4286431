"""The settings of the current application."""

from flask import current_app

from portal.config import Settings


def current_settings() -> Settings:
    """Settings that `create_app` was given or read; within an application context only."""
    settings: Settings = current_app.extensions["silid.settings"]
    return settings
