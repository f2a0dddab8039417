"""Jobs on weights whose network nobody knows: what is refused before it is queued, and what becomes of the rest."""

from typing import Any

import pytest

from app.core import jobs, submissions
from app.core.choosing import FileFacts
from app.core.database import Database
from app.core.errors import Invalid
from app.core.facts import MATRICES, VECTORS, LayerFacts, ModelFacts
from app.core.job_options import JobOptions, JobRequest
from app.core.keys import LOCAL
from app.core.measurements import Result, Verification
from app.core.recipes.recipe import Recipe
from app.core.reports import ReportData, render
from app.core.results import assemble
from app.core.tasks import Compression, FileMeasurement, StepTiming, Timings, WrittenFile
from app.core.wanted_files import wanted_files
from tests.core.measured_files import ENVIRONMENT
from tests.core.rows import dataset_row, model_row

PRUNE = {"technique": "magnitude_pruning", "sparsity": 0.5}
INT8 = {"technique": "weight_quantization"}


def facts(kind: str = MATRICES) -> ModelFacts:
    layer = LayerFacts(name="fc", type=kind, parameters=10_000, macs=None, output_shape=None)
    return ModelFacts(parameters=10_000, macs=None, runs=False, layers=(layer,), editable="no", outputs=("state_dict",))


@pytest.fixture
def stocked(database: Database) -> Database:
    with database.writing() as session:
        session.add(model_row(facts=facts(), format="safetensors"))
        session.add(model_row("model_flat", facts=facts(VECTORS), format="safetensors"))
        session.add(dataset_row())
    return database


def submit(database: Database, recipe: dict[str, Any], **request: Any) -> jobs.Job:
    body = {"model": "model_1", "recipe": recipe, "outputs": ["state_dict"], **request}
    return submissions.submit_request(database, LOCAL, JobRequest.model_validate(body), None)


@pytest.mark.parametrize(
    ("code", "words", "step", "request_fields"),
    [
        ("technique_unavailable", "needs the network", {"technique": "structured_pruning"}, {}),
        ("technique_unavailable", "needs the network", {"technique": "fine_tuning"}, {}),
        ("technique_unavailable", "needs the network", {"technique": "fine_tuning"}, {"dataset": "dataset_1"}),
        ("technique_unavailable", "needs the network", {"technique": "mixed_precision"}, {"dataset": "dataset_1"}),
        ("technique_unavailable", "criterion `wanda`", {**PRUNE, "criterion": "wanda"}, {"dataset": "dataset_1"}),
        ("technique_unavailable", "training between", {**PRUNE, "schedule": {"epochs": 1}}, {}),
        ("technique_unavailable", "hqq needs no data", {**INT8, "method": "gptq"}, {"dataset": "dataset_1"}),
        ("technique_unavailable", "no tensor of the file has two dimensions", INT8, {"model": "model_flat"}),
        ("technique_unavailable", "no tensor of the file has two dimensions", PRUNE, {"model": "model_flat"}),
        ("output_unavailable", "Ask for one of: state_dict", PRUNE, {"outputs": ["onnx"]}),
    ],
)
def test_what_would_run_the_network_is_refused(
    stocked: Database, code: str, words: str, step: dict[str, Any], request_fields: dict[str, Any]
) -> None:
    with pytest.raises(Invalid) as refused:
        submit(stocked, {"steps": [step]}, **request_fields)
    assert refused.value.code == code
    assert words in refused.value.detail
    assert jobs.page(stocked, LOCAL, 10, None).data == ()


def test_values_may_be_changed(stocked: Database) -> None:
    steps = [PRUNE, {**PRUNE, "criterion": "lsh"}, INT8, {"technique": "float_casting"}]
    assert submit(stocked, {"steps": steps}).status == "queued"
    assert submit(stocked, {"steps": steps}, dataset="dataset_1").status == "queued"


@pytest.mark.parametrize(
    ("preset", "kind", "techniques"),
    [
        ("safe", MATRICES, []),
        ("small", MATRICES, ["weight_quantization"]),
        ("small", VECTORS, ["float_casting"]),
    ],
)
def test_presets_make_files_smaller_or_leave_them(preset: str, kind: str, techniques: list[str]) -> None:
    steps = Recipe.model_validate({"preset": preset}).resolved(facts(kind), ("state_dict",), has_data=False)
    assert [step.technique for step in steps] == techniques


def test_a_preset_for_speed_is_refused(stocked: Database) -> None:
    with pytest.raises(Invalid, match="Take `small`") as refused:
        submit(stocked, {"preset": "fast"})
    assert refused.value.code == "preset_unavailable"


def test_auto_tries_what_a_state_dict_can_hold() -> None:
    options = JobOptions.model_validate({"recipe": {"preset": "safe"}, "outputs": ["auto"]})
    wanted = wanted_files(options, facts(), has_data=False)
    assert {each.precision for each in wanted.candidates} >= {"float32", "float16", "int8-weights"}
    assert {each.output for each in wanted.candidates} == {"state_dict"}


def result_of(*artifacts: WrittenFile) -> Result:
    files = (written("upload", "upload"), *artifacts)
    found = {
        file.name: FileMeasurement(
            name=file.name, verified=Verification(loaded=True, max_difference=0.0, cosine=1.0), quality=None
        )
        for file in files
    }
    sizes = {
        file.path: FileFacts(size_bytes=400 // position, sha256="0" * 64) for position, file in enumerate(files, 1)
    }
    return assemble(
        Compression(inputs=(), files=files, steps=(StepTiming(technique="weight_quantization", seconds=1),)),
        found,
        Timings(latencies={}, environment=ENVIRONMENT),
        sizes,
        upload=sizes["outputs/upload"],
        minimize="latency",
        seed=0,
    )


def written(name: str, role: Any, precision: str | None = None) -> WrittenFile:
    fields = {"parameters": 10, "nonzero_parameters": 5, "macs": None, "quantized": role == "artifact"}
    return WrittenFile(name=name, path=f"outputs/{name}", format="state_dict", role=role, precision=precision, **fields)


def test_what_can_not_be_measured_is_null() -> None:
    result = result_of(written("model.safetensors", "artifact"))
    for measured in (result.baseline, result.compressed, result.steps[0].after):
        assert (measured.latency_ms, measured.quality, measured.macs, measured.peak_memory_mb) == ((), None, None, None)
    comparison = result.comparison
    assert (comparison.speedup, comparison.quality_change, comparison.macs_ratio) == (None, None, None)
    assert comparison.size_ratio == 2


def test_the_best_of_several_files_is_the_smallest() -> None:
    names = ("model.float32.safetensors", "model.int8-weights.safetensors")
    assert result_of(*(written(name, "artifact", name.split(".")[1]) for name in names)).best == names[1]


def test_reports_say_that_nothing_was_run() -> None:
    result = result_of(written("model.safetensors", "artifact"))
    request = JobRequest.model_validate({"model": "model_1", "recipe": {"steps": [INT8]}, "outputs": ["state_dict"]})
    times = dict.fromkeys(("created_at", "started_at", "finished_at"), 1.0)
    report = ReportData.model_validate(
        {"job": "job_1", "request": request, "steps": request.recipe.steps, "model_name": "weights", **times}
        | {"dataset_name": None, "inputs": (), "result": result}
    )
    for kind in ("report.html", "report.md"):
        text = render(report, kind)
        assert "neither speed nor quality could be measured" in text
        assert "tensor by tensor" in text
        assert "load_state_dict" in text
        assert "Wall-clock" not in text
    assert '"latency_ms": []' in render(report, "report.json")
