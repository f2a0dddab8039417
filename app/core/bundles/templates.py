"""The texts of a bundle, in `texts/`."""

import json
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from app.core import figures
from app.core.reports.markdown import plain


def template(name: str) -> Template:
    return _templates().get_template(name)


def yaml_text(text: str) -> str:
    """One line, quoted: a JSON string without control characters is one in YAML too."""
    printable = "".join(character for character in " ".join(text.split()) if character.isprintable())
    return json.dumps(printable, ensure_ascii=False)


@cache
def _templates() -> Environment:
    """Nothing is escaped unasked: Python, YAML and Markdown each have their own way."""
    templates = Environment(
        loader=PackageLoader("app.core.bundles", "texts"),
        autoescape=False,  # noqa: S701 - none of the texts is HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    templates.globals.update(figures=figures)
    templates.filters.update(plain=plain, yaml=yaml_text)
    return templates
