"""A finished job's report. The supervisor makes it from a result; nothing here measures anything."""

from typing import get_args

from app.core.reports.data import ReportData
from app.core.reports.policy import CONTENT_POLICY
from app.core.reports.rendering import ReportKind, render

REPORT_KINDS: tuple[ReportKind, ...] = get_args(ReportKind)

__all__ = ["CONTENT_POLICY", "REPORT_KINDS", "ReportData", "ReportKind", "render"]
