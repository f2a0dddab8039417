"""Text of any kind inside Markdown, where it must stay text."""

import re

from markupsafe import Markup, escape

_SPECIAL = re.compile(r"([\\`*_\[\]#|~])")


def plain(text: str) -> Markup:
    """One line with nothing in it that Markdown or HTML would act on."""
    return Markup(_SPECIAL.sub(r"\\\1", str(escape(" ".join(text.split())))))  # noqa: S704 - escaped just now
