"""Which of several kinds of answer a caller would like best."""

from collections.abc import Sequence

from fastapi import Request

from app.api.problems import NotAcceptable


def best_match(request: Request, offered: Sequence[str]) -> str:
    """By the header Accept (RFC 9110): its highest quality, then the order of `offered`."""
    accepted = _qualities(",".join(request.headers.getlist("accept")))
    if not accepted:
        return offered[0]
    best = max(offered, key=lambda media_type: _quality(media_type, accepted))
    if _quality(best, accepted) == 0:
        raise NotAcceptable(f"Send an Accept header that names one of: {', '.join(offered)}.")
    return best


def _quality(media_type: str, accepted: dict[str, float]) -> float:
    """The most specific range that fits decides."""
    for media_range in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if media_range in accepted:
            return accepted[media_range]
    return 0.0


def _qualities(header: str) -> dict[str, float]:
    qualities = {}
    for part in filter(None, map(str.strip, header.split(","))):
        media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
        given = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
        qualities[media_range] = _number(given[0]) if given else 1.0
    return qualities


def _number(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0
