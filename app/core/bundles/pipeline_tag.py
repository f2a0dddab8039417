"""Which of the Hub's tasks a network does, where its inputs and what it was judged by leave no doubt."""

from typing import Literal

from app.core.inputs import InputSpec
from app.core.measurements import Comparison, Quality
from app.core.reports import ReportData

PipelineTag = Literal["image-classification", "text-classification", "tabular-classification", "tabular-regression"]

IMAGE_CHANNELS = (1, 3, 4)


def pipeline_tag(report: ReportData) -> PipelineTag | None:
    """None also where examples have several labels each, as in tagging and segmentation."""
    quality = report.best.measured.quality
    if quality is None or len(report.inputs) != 1 or not isinstance(report.inputs[0], InputSpec):
        return None
    given = report.inputs[0]
    is_float, free = given.dtype.startswith(("float", "bfloat")), [isinstance(size, str) for size in given.shape]
    is_table = is_float and free == [True, False]
    if quality.metric == "mean_squared_error":
        return "tabular-regression" if is_table else None
    if not _has_one_class_each(quality, report.result.comparison):
        return None
    if is_table:
        return "tabular-classification"
    if is_float and len(given.shape) == 4 and given.shape[1] in IMAGE_CHANNELS:
        return "image-classification"
    return "text-classification" if given.dtype in ("int64", "int32") and len(given.shape) == 2 else None


def _has_one_class_each(quality: Quality, comparison: Comparison) -> bool:
    """Labels are counted by class there, for as many classes as it lists."""
    if quality.metric != "accuracy" or comparison.paired is None:
        return False
    return sum(each.examples for each in comparison.paired.classes) == quality.examples
