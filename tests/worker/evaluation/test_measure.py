"""A file is measured as it will be downloaded: loaded afresh, beside the upload's own answers."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from app.core.errors import Problem
from app.core.job_files import DatasetFile
from app.core.tasks import FileMeasurement, Judge, Measure, WrittenFile
from tests.worker.evaluation.conftest import CLASSES, FEATURES, JobFolder
from worker.evaluation.measure import judge_all, measure

# What only a process that has done nothing else can tell.
ONLY_ALONE = {"peak_memory_mb": None, "load_ms": None}
MANUAL = Path(__file__).parents[3] / "docs" / "measuring.md"


def measured(job: JobFolder, file: WrittenFile, dataset: DatasetFile | None = None) -> FileMeasurement:
    task = Measure(model=job.model, dataset=dataset, file=file, seed=3)
    return measure(task, job.path, lambda progress: None)


def labelled_data(job: JobFolder, wrong: int = 0, count: int = 100) -> DatasetFile:
    """Labels are the network's own answers, but for the first `wrong` ones."""
    x = np.random.default_rng(0).standard_normal((count, FEATURES)).astype(np.float32)
    with torch.inference_mode():
        y = job.network(torch.from_numpy(x)).numpy().argmax(axis=1)
    y[:wrong] = (y[:wrong] + 1) % CLASSES
    return job.data(x_train=x[:1], y_train=y[:1], x_test=x, y_test=y)


def test_several_files_in_one_process_are_judged_as_each_by_itself(job: JobFolder) -> None:
    data = labelled_data(job)
    files = (job.upload(), job.onnx("broken.onnx"), job.onnx("model.onnx", noise=0.5, quantized=True))
    (job.path / files[1].path).write_bytes(b"no network")
    judged = judge_all(Judge(model=job.model, dataset=data, files=files, seed=3), job.path, lambda progress: None)
    alone = [measured(job, file, data).model_copy(update=ONLY_ALONE) for file in (files[0], files[2])]
    assert judged.found == tuple(alone)
    assert [(name, problem.code) for name, problem in judged.refused.items()] == [
        ("broken.onnx", "artifact_does_not_load")
    ]


def test_upload_is_judged_by_accuracy_on_test_labels(job: JobFolder) -> None:
    quality = measured(job, job.upload(), labelled_data(job, wrong=7)).quality
    assert quality is not None
    assert (quality.metric, quality.value, quality.examples) == ("accuracy", 0.93, 100)
    assert (quality.labelled, quality.synthetic, quality.agreement) == (True, False, 1.0)


def test_lossless_file_agrees_with_its_network_and_the_upload(job: JobFolder) -> None:
    data = labelled_data(job)
    measured(job, job.upload(), data)
    result = measured(job, job.onnx("model.onnx"), data)
    assert result.verified.loaded
    assert result.verified.max_difference is not None
    assert result.verified.max_difference < 1e-5
    assert result.quality is not None
    assert result.quality.value == result.quality.agreement == 1.0
    assert result.quality.kl_divergence == pytest.approx(0, abs=1e-6)
    assert result.quality_change_ci95 is not None
    assert result.quality_change_ci95[0] < 0 < result.quality_change_ci95[1]


def test_quantized_file_may_differ_and_its_loss_is_measured(job: JobFolder) -> None:
    data = labelled_data(job)
    measured(job, job.upload(), data)
    result = measured(job, job.onnx("model.onnx", noise=0.5, quantized=True), data)
    assert result.quality is not None
    assert result.quality.value < 1.0
    assert result.quality.value == result.quality.agreement
    assert result.quality.kl_divergence is not None
    assert result.quality.kl_divergence > 1e-3
    assert result.quality_change_ci95 is not None
    low, high = result.quality_change_ci95
    assert low < result.quality.value - 1 < high <= 0.02


def test_lost_answers_are_told_by_class(job: JobFolder) -> None:
    """The labels are the upload's own answers, so that nothing can be gained."""
    data = labelled_data(job)
    assert measured(job, job.upload(), data).paired is None
    result = measured(job, job.onnx("model.onnx", noise=0.5, quantized=True), data)
    paired, quality = result.paired, result.quality
    assert paired is not None
    assert quality is not None
    assert (paired.lost, paired.gained) == (round(100 * (1 - quality.value)), 0)
    assert paired.mcnemar_p == pytest.approx(min(1, 2 * 0.5**paired.lost))
    assert sum(change.examples for change in paired.classes) == 100
    assert [change.before for change in paired.classes] == [1, 1, 1]
    falls = [change.after - change.before for change in paired.classes]
    assert falls == sorted(falls)
    assert all(c.change_ci95[0] <= c.after - c.before <= c.change_ci95[1] for c in paired.classes)


def test_loading_takes_time_and_classes_have_a_loss(job: JobFolder) -> None:
    result = measured(job, job.upload(), labelled_data(job, wrong=7))
    assert result.load_ms is not None
    assert result.load_ms > 0
    assert result.quality is not None
    assert result.quality.cross_entropy is not None
    assert result.quality.cross_entropy > 0
    assert result.quality.top_5 is None  # there are three classes


def test_lossless_file_that_differs_is_refused(job: JobFolder) -> None:
    with pytest.raises(Problem) as refusal:
        measured(job, job.onnx("model.onnx", noise=0.01))
    assert refusal.value.code == "artifact_differs"


def test_file_that_does_not_load_is_refused_without_the_runtimes_words(job: JobFolder) -> None:
    file = job.onnx("model.onnx")
    (job.path / file.path).write_bytes(b"not a graph")
    with pytest.raises(Problem) as refusal:
        measured(job, file)
    assert refusal.value.code == "artifact_does_not_load"
    assert "protobuf" not in refusal.value.detail.lower()


def test_without_data_random_inputs_give_agreement_marked_synthetic(job: JobFolder) -> None:
    measured(job, job.upload())
    quality = measured(job, job.onnx("model.onnx", noise=0.5, quantized=True)).quality
    assert quality is not None
    assert (quality.metric, quality.synthetic, quality.labelled, quality.examples) == ("agreement", True, False, 256)
    assert 0.5 < quality.value < 1.0


def test_float_labels_mean_squared_error(job: JobFolder) -> None:
    x = np.random.default_rng(0).standard_normal((50, FEATURES)).astype(np.float32)
    with torch.inference_mode():
        y = job.network(torch.from_numpy(x)).numpy() + 0.5
    data = job.data(x_train=x[:1], y_train=y[:1], x_test=x, y_test=y)
    measured(job, job.upload(), data)
    result = measured(job, job.onnx("model.onnx"), data)
    assert result.quality is not None
    assert result.quality.metric == "mean_squared_error"
    assert result.quality.value == pytest.approx(0.25, abs=1e-4)
    assert result.quality.agreement is None
    assert result.quality_change_ci95 == pytest.approx((0, 0), abs=1e-5)


def test_examples_to_which_the_upload_answers_nan_are_counted(job: JobFolder) -> None:
    """Numbers that are finite, but whose products aren't: their sum then has infinities of both signs."""
    x = np.zeros((10, FEATURES), np.float32)
    x[[4, 6]] = 3e38
    with torch.no_grad():
        job.network.weight.copy_(torch.tensor([[9.0, -9.0, 9.0, -9.0, 9.0, -9.0]]).expand(CLASSES, -1))
    torch.jit.save(torch.jit.trace(job.network, torch.zeros(2, FEATURES)), job.path / "inputs/model.pt")
    labels = np.zeros(10, np.int64)
    with pytest.raises(Problem, match="NaN to 2 of the 10 test examples, first to example 4") as refusal:
        measured(job, job.upload(), job.data(x_train=x, y_train=labels, x_test=x, y_test=labels))
    assert refusal.value.code == "answers_not_finite"


def test_labels_of_another_shape_are_refused(job: JobFolder) -> None:
    x = np.zeros((10, FEATURES), np.float32)
    labels = np.zeros((10, 4), np.int64)
    data = job.data(x_train=x, y_train=labels, x_test=x, y_test=labels)
    with pytest.raises(Problem) as refusal:
        measured(job, job.upload(), data)
    assert refusal.value.code == "labels_do_not_fit"


def test_peak_memory_grows_with_what_a_file_needs(job: JobFolder) -> None:
    assert 0 <= measured(job, job.upload()).peak_memory_mb < 500


def test_the_manuals_lines_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "work").mkdir()
    JobFolder(tmp_path / "work").onnx("model.onnx")
    lines = re.search(r"```python\n(.*?)```", MANUAL.read_text(), re.DOTALL)
    assert lines is not None
    monkeypatch.chdir(tmp_path)
    exec(re.sub(r"InputSpec\(.*?\)\)", f'InputSpec(name="x", shape=("batch", {FEATURES}))', lines[1]))
    assert capsys.readouterr().out.count("metric='agreement'") == 2
