"""What a job claims follows from the files it measured, and from nothing else."""

import pytest

from tests.core.measured_files import MeasuredJob, int8_job, quality


def test_gain_is_split_between_runtime_and_compression() -> None:
    comparison = int8_job().result().comparison
    assert comparison.speedup is not None
    speedup = comparison.speedup
    assert speedup.median == speedup.runtime_only * speedup.compression_only
    assert speedup.median == pytest.approx(4.0, rel=0.05)
    assert speedup.runtime_only == pytest.approx(2.0, rel=0.05)
    assert speedup.ci95[0] < speedup.median < speedup.ci95[1]
    assert (comparison.size_ratio, comparison.parameter_ratio, comparison.macs_ratio) == (4.0, 1.0, 1.0)


def test_float_sibling_that_is_not_faster_is_dropped() -> None:
    result = int8_job().result()
    assert [artifact.name for artifact in result.artifacts] == ["model.onnx"]
    assert result.best == "model.onnx"


def test_float_sibling_that_is_faster_is_delivered_and_said_to_be() -> None:
    result = int8_job(int8_milliseconds=1.4).result()
    assert [artifact.name for artifact in result.artifacts] == ["model.onnx", "model.float32.onnx"]
    assert result.best == "model.onnx"
    assert any("int8 is slower than float32" in warning for warning in result.warnings)


def test_float_sibling_that_is_hardly_faster_is_dropped() -> None:
    result = int8_job(int8_milliseconds=1.03).result()
    assert [artifact.name for artifact in result.artifacts] == ["model.onnx"]


def said_of_speed(job: MeasuredJob) -> list[str]:
    return [warning for warning in job.result().warnings if "slower than float32" in warning]


def test_only_of_int8_it_is_said_that_int8_is_slower() -> None:
    (said,) = said_of_speed(int8_job(int8_milliseconds=1.4, arithmetic=()))
    assert said.startswith("Fewer bits are slower than float32")


def test_of_several_formats_the_fastest_float_sibling_is_advised_alone() -> None:
    job = int8_job(int8_milliseconds=1.4)
    fields = {"format": "torchscript", "size_bytes": 1_000_000}
    job.add("model.torchscript.pt", "artifact", milliseconds=1.6, quantized=True, **fields)
    job.add("model.float32.torchscript.pt", "artifact", milliseconds=1.2, **(fields | {"size_bytes": 4_000_000}))
    (said,) = said_of_speed(job)
    assert "model.float32.onnx for its speed" in said
    assert len(job.result().artifacts) == 4


def test_a_float_sibling_that_is_faster_and_no_larger_is_the_best() -> None:
    job = int8_job(int8_milliseconds=1.4, int8_bytes=4_000_001)
    result = job.result()
    assert result.best == "model.float32.onnx"
    assert {artifact.name for artifact in result.artifacts} == {"model.onnx", "model.float32.onnx"}
    assert ["so the best file is model.float32.onnx" in said.lower() for said in said_of_speed(job)] == [True]


@pytest.mark.parametrize(("left", "best"), [(0.879, "model.float32.onnx"), (0.881, "model.onnx")])
def test_a_file_of_hardly_any_use_is_not_the_best(left: float, best: str) -> None:
    result = int8_job(judged=quality(left)).result()
    assert result.best == best
    assert {artifact.name for artifact in result.artifacts} >= {"model.onnx"}
    assert any("model.onnx was passed over" in said for said in result.warnings) is (best != "model.onnx")


@pytest.mark.parametrize(("times", "best"), [(2.1, "model.float32.onnx"), (1.9, "model.onnx")])
def test_nor_one_of_more_than_twice_the_error(times: float, best: str) -> None:
    job = int8_job()
    for name, found in job.found.items():
        error = 0.05 * (times if name == "model.onnx" else 1)
        judged = found.quality.model_copy(update={"metric": "mean_squared_error", "value": error})
        job.found[name] = found.model_copy(update={"quality": judged})
    assert job.result().best == best


def test_a_format_in_which_more_is_lost_is_passed_over() -> None:
    job = two_formats()
    job.found["model.onnx"] = job.found["model.onnx"].model_copy(update={"quality": quality(0.9)})
    result = job.result("latency")
    assert result.best == "model.torchscript.pt"
    assert any("model.onnx was passed over" in said for said in result.warnings)


def two_formats() -> MeasuredJob:
    job = MeasuredJob("magnitude_pruning").add(
        "upload", "upload", milliseconds=2, size_bytes=4000, format="torchscript"
    )
    job.add("model.onnx", "artifact", milliseconds=1, size_bytes=3000)
    return job.add("model.torchscript.pt", "artifact", milliseconds=1.5, size_bytes=2000, format="torchscript")


def test_best_is_the_fastest_or_the_smallest_as_asked() -> None:
    assert two_formats().result("latency").best == "model.onnx"
    assert two_formats().result("size").best == "model.torchscript.pt"


def test_in_torch_the_upload_is_the_uncompressed_network() -> None:
    speedup = two_formats().result("size").comparison.speedup
    assert speedup is not None
    assert speedup.runtime_only == 1.0


def test_without_steps_all_gain_is_the_runtimes() -> None:
    job = MeasuredJob().add("upload", "upload", milliseconds=2, size_bytes=4000, format="torchscript")
    speedup = job.add("model.onnx", "artifact", milliseconds=1, size_bytes=3000).result().comparison.speedup
    assert speedup is not None
    assert speedup.compression_only == 1.0
    assert speedup.runtime_only == speedup.median


def test_size_counts_the_files_that_a_file_needs() -> None:
    job = MeasuredJob().add("upload", "upload", milliseconds=2, size_bytes=4000, format="torchscript")
    job.add("network.json", "step", milliseconds=1, size_bytes=50)
    companions = ("outputs/network.json",)
    job.add("model.safetensors", "artifact", milliseconds=2, size_bytes=900, format="state_dict", companions=companions)
    result = job.result()
    assert (result.compressed.size_bytes, result.artifacts[0].size_bytes) == (950, 900)


def test_each_step_is_measured_on_its_own_file_and_the_last_on_the_best_artifact() -> None:
    job = MeasuredJob("magnitude_pruning", "static_quantization")
    job.add("upload", "upload", milliseconds=2, size_bytes=4000, format="torchscript")
    job.add("step-0.onnx", "step", milliseconds=1, size_bytes=3000, step=0)
    job.add("model.onnx", "artifact", milliseconds=0.5, size_bytes=1000, step=1, quantized=True)
    steps = job.result().steps
    assert [(step.technique, step.after.size_bytes) for step in steps] == [
        ("magnitude_pruning", 3000),
        ("static_quantization", 1000),
    ]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"judged": quality(0.977, examples=1000), "change_ci95": (-0.009, 0.003)}, "can't be told from no change"),
        ({"judged": quality(0.8, examples=1000), "change_ci95": (-0.2, -0.15)}, "costs quality"),
        ({"judged": quality(0.9, examples=120)}, "Only 120 test examples"),
        ({"judged": quality(0.9, examples=256, synthetic=True)}, "random inputs"),
        ({"nonzero_parameters": 500}, "50 % of the weights are zero"),
        ({"warnings": ("Something that a child noticed.",)}, "Something that a child noticed."),
    ],
)
def test_what_a_reader_must_know_is_said(fields: dict[str, object], words: str) -> None:
    def job(**more: object) -> MeasuredJob:
        base = MeasuredJob("magnitude_pruning")
        base.add("upload", "upload", milliseconds=2, size_bytes=4000, format="torchscript")
        return base.add("model.onnx", "artifact", milliseconds=0.2, size_bytes=1000, **more)  # type: ignore[arg-type]

    assert any(words in warning for warning in job(**fields).result().warnings)
    assert not any(words in warning for warning in job().result().warnings)


def test_a_gain_that_is_mostly_the_runtimes_is_said_to_be() -> None:
    job = int8_job(int8_milliseconds=0.45, float_milliseconds=0.5)
    assert any("Most of the speed-up comes from the runtime" in warning for warning in job.result().warnings)
    whole = int8_job(int8_milliseconds=0.6, float_milliseconds=0.5)
    assert any("All of the speed-up comes from the runtime" in warning for warning in whole.result().warnings)
    own = int8_job(int8_milliseconds=0.2, float_milliseconds=1.5)
    assert not any("speed-up comes from the runtime" in warning for warning in own.result().warnings)


def test_a_child_warning_that_comes_twice_is_said_once() -> None:
    job = MeasuredJob().add(
        "upload", "upload", milliseconds=2, size_bytes=4000, format="torchscript", warnings=("Noisy.",)
    )
    job.add("model.onnx", "artifact", milliseconds=1, size_bytes=3000, warnings=("Noisy.",))
    assert job.result().warnings.count("Noisy.") == 1


def test_quantized_files_that_are_slower_than_the_one_tried_in_float32_are_named() -> None:
    job = MeasuredJob().add("upload", "upload", milliseconds=2.0, size_bytes=4_000_000, format="torchscript")
    for precision, milliseconds in (("float32", 1.0), ("int8-static", 1.4), ("int8-weights", 0.99)):
        name, size = f"model.{precision}.onnx", 1_000_000
        quantized = precision != "float32"
        job.add(name, "artifact", milliseconds=milliseconds, size_bytes=size, quantized=quantized, precision=precision)
    (said,) = [warning for warning in job.result().warnings if "are slower than float32" in warning]
    assert "model.int8-static.onnx (1.4" in said
    assert "model.int8-weights.onnx" not in said
