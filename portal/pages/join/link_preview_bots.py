"""Detection of automatic requests: link-preview bots, crawlers, and browsers' prefetching.

By their User-Agent, as their operators document it: facebookexternalhit and meta-externalagent (Facebook and
Messenger, developers.facebook.com "Meta Web Crawlers"; Apple's Messages uses these too), WhatsApp/2...,
TelegramBot, Twitterbot, Slackbot, Discordbot, SkypeUriPreview, and the search engines. "CUBOT" is a make of phone.
"""

import re

from flask import Request

_BOT_PATTERN = re.compile(
    r"facebookexternalhit|facebookcatalog|facebot|meta-external|whatsapp/|skypeuripreview|bingpreview|googlemessages"
    r"|(?:twitter|slack|discord|telegram|google|bing|linkedin|apple|yandex|pinterest|petal)bot"
)
_PURPOSE_HEADERS = ("Sec-Purpose", "Purpose", "X-Moz", "X-Purpose")


def is_link_preview_bot(request: Request) -> bool:
    """True for bots that follow links. A person in Messenger's in-app browser is none."""
    return _BOT_PATTERN.search(request.headers.get("User-Agent", "").lower()) is not None


def is_prefetch_request(request: Request) -> bool:
    """True for a HEAD request, or a browser's prefetch or prerender."""
    purposes = " ".join(request.headers.get(name, "") for name in _PURPOSE_HEADERS).lower()
    return request.method == "HEAD" or "prefetch" in purposes or "preview" in purposes or "prerender" in purposes
