"""A report as text that a notebook shows as the page it is."""

from html import escape
from typing import Literal

ReportFormat = Literal["text/html", "text/markdown", "application/json"]

FRAME_HEIGHT = 800


class Report(str):
    """As the last value of a notebook's cell, HTML is shown in a frame of its own, and Markdown as such."""

    media_type: ReportFormat

    def __new__(cls, text: str, media_type: ReportFormat) -> "Report":
        report = super().__new__(cls, text)
        report.media_type = media_type
        return report

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        if self.media_type != "text/html":
            return {self.media_type: str(self), "text/plain": str(self)}
        # Its styles and its script stay inside: the frame has an origin of its own.
        attributes = f'sandbox="allow-scripts" width="100%" height="{FRAME_HEIGHT}" style="border: 0"'
        return {"text/html": f'<iframe {attributes} srcdoc="{escape(self)}"></iframe>'}
