"""Drawings of a page as pictures that stand by themselves, for Markdown."""

import base64

from app.core.reports.policy import COLOURS


def picture(svg: str) -> str:
    """An address that holds the picture itself. Its colours follow the reader's light and dark, as on the page."""
    start, _, rest = svg.partition(">")
    alone = f"{start}><style>{COLOURS}</style>{rest}"
    return f"data:image/svg+xml;base64,{base64.b64encode(alone.encode()).decode()}"
