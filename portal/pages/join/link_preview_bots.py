"""Requests behind which nobody sits: a chat that draws a preview of a link, a scanner, a browser that loads ahead.

They say so themselves. Names as the senders document them: facebookexternalhit and meta-externalagent (Facebook and
Messenger, developers.facebook.com "Meta Web Crawlers"; Apple's Messages calls itself so too), WhatsApp/2...,
TelegramBot, Twitterbot, Slackbot, Discordbot, SkypeUriPreview, and the search engines. "CUBOT" is a make of phone.
"""

import re

from flask import Request

_ROBOTS = re.compile(
    r"facebookexternalhit|facebookcatalog|facebot|meta-external|whatsapp/|skypeuripreview|bingpreview|googlemessages"
    r"|(?:twitter|slack|discord|telegram|google|bing|linkedin|apple|yandex|pinterest|petal)bot"
)
_LOOKING_AHEAD = ("Sec-Purpose", "Purpose", "X-Moz", "X-Purpose")


def is_link_preview_bot(request: Request) -> bool:
    """Is it one of those that follow links by themselves? A person inside Messenger's own browser is none."""
    return _ROBOTS.search(request.headers.get("User-Agent", "").lower()) is not None


def is_prefetch_request(request: Request) -> bool:
    """A HEAD, or a browser that loads a page before anybody asked for it."""
    purposes = " ".join(request.headers.get(name, "") for name in _LOOKING_AHEAD).lower()
    return request.method == "HEAD" or "prefetch" in purposes or "preview" in purposes or "prerender" in purposes
