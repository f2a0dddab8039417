"""Text of any kind inside Markdown, where it must stay text."""

import re

from markupsafe import Markup, escape

_SPECIAL = re.compile(r"([\\`*_\[\]#|~])")


def plain(text: str) -> Markup:
    """One line with nothing in it that Markdown or HTML would act on."""
    return escape(_SPECIAL.sub(r"\\\1", " ".join(text.split())))
