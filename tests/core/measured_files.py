"""Measurements of a job as its children would report them, with figures that a test chooses."""

import random
from typing import Any

from app.core.budgets import Budget
from app.core.choosing import FileFacts
from app.core.instructions import Arithmetic
from app.core.job_options import Goal
from app.core.measurements import Environment, Latency, OutputFormat, Quality, Result, Verification
from app.core.results import assemble, contenders
from app.core.tasks import Compression, FileMeasurement, Role, StepTiming, Timings, WrittenFile

ENVIRONMENT = Environment(cpu="A CPU", isa=("avx2",), threads=1, versions={"torch": "2.13.0"})


def quality(value: float, *, examples: int = 1000, synthetic: bool = False) -> Quality:
    return Quality(
        metric="agreement" if synthetic else "accuracy",
        value=value,
        examples=examples,
        labelled=not synthetic,
        synthetic=synthetic,
        agreement=value,
        cosine=0.999,
        kl_divergence=0.001,
    )


class MeasuredJob:
    """Files are added one by one; latencies are milliseconds with 5 % of noise."""

    def __init__(self, *techniques: str) -> None:
        self.files: list[WrittenFile] = []
        self.found: dict[str, FileMeasurement] = {}
        self.latencies: dict[str, tuple[Latency, ...]] = {}
        self.written: dict[str, FileFacts] = {}
        self.again: Latency | None = None
        self.steps = tuple(StepTiming(technique=name, seconds=1.5) for name in techniques)

    def add(
        self,
        name: str,
        role: Role,
        *,
        milliseconds: float,
        size_bytes: int,
        format: OutputFormat = "onnx",
        step: int | None = None,
        quantized: bool = False,
        precision: str | None = None,
        companions: tuple[str, ...] = (),
        nonzero_parameters: int = 1000,
        judged: Quality | None = None,
        change_ci95: tuple[float, float] | None = None,
        warnings: tuple[str, ...] = (),
        arithmetic: tuple[Arithmetic, ...] = (),
    ) -> "MeasuredJob":
        path = f"outputs/{name}"
        self.files.append(
            WrittenFile(
                name=name,
                path=path,
                companions=companions,
                format=format,
                role=role,
                step=step,
                quantized=quantized,
                precision=precision,
                parameters=1000,
                nonzero_parameters=nonzero_parameters,
                macs=5000,
            )
        )
        self.found[name] = FileMeasurement(
            name=name,
            verified=Verification(loaded=True, max_difference=0.0, cosine=1.0),
            quality=judged or quality(0.98),
            quality_change_ci95=change_ci95,
            peak_memory_mb=12.5,
            warnings=warnings,
            arithmetic=arithmetic,
        )
        self.latencies[name] = (_latency(milliseconds, seed=len(self.files)),)
        self.written[path] = FileFacts(size_bytes=size_bytes, sha256=f"{len(self.files):064x}")
        return self

    @property
    def compression(self) -> Compression:
        return Compression(inputs=(), files=tuple(self.files), steps=self.steps)

    def result(self, minimize: Goal = "latency", budget: Budget | None = None) -> Result:
        timings = Timings(latencies=self.latencies, again=self.again, environment=ENVIRONMENT)
        return assemble(
            self.compression,
            self.found,
            timings,
            self.written,
            upload=self.written["outputs/upload"],
            minimize=minimize,
            seed=0,
            budget=budget,
        )

    def contenders(self, budget: Budget, minimize: Goal = "latency") -> list[str]:
        upload = self.written["outputs/upload"]
        left = contenders(self.compression, self.found, self.written, upload, minimize=minimize, budget=budget)
        return [file.name for file in left.files]


def _latency(median: float, seed: int) -> Latency:
    generator = random.Random(seed)
    samples = tuple(median * generator.uniform(0.95, 1.05) for _ in range(101))
    ordered = sorted(samples)
    return Latency(batch_size=1, threads=1, median=ordered[50], p95=ordered[95], samples=samples)


def int8_job(
    *, int8_milliseconds: float = 0.5, float_milliseconds: float = 1.0, int8_bytes: int = 1_000_000, **of_int8: Any
) -> MeasuredJob:
    """A network of 4 MB and 2 ms in torch, written as int8 ONNX of 1 MB with its float32 sibling."""
    job = (
        MeasuredJob("static_quantization")
        .add("upload", "upload", milliseconds=2.0, size_bytes=4_000_000, format="torchscript")
        .add("uncompressed.onnx", "uncompressed", milliseconds=float_milliseconds, size_bytes=4_000_000)
    )
    fields: dict[str, Any] = {"size_bytes": int8_bytes, "quantized": True, "step": 0, "arithmetic": ("int8",)}
    job.add("model.onnx", "artifact", milliseconds=int8_milliseconds, **(fields | of_int8))
    return job.add("model.float32.onnx", "artifact", milliseconds=float_milliseconds, size_bytes=4_000_000)
