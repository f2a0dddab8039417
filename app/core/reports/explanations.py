"""How each number of a report was obtained, in plain words."""

from collections.abc import Iterator

from app.core.measurements import Noise, Quality, Result

_FILES = (
    "Every figure is of a file as it can be downloaded, loaded afresh by its own runtime in a process that had done "
    "nothing else. A file that doesn't load, or that was written without loss and answers differently from its network "
    "by more than 0.0001, is not delivered."
)
_FILES_OF_WEIGHTS = (
    "Every figure is of a file as it can be downloaded, loaded afresh in a process that had done nothing else. Names, "
    "shapes, types and values were compared with the weights that it was written from, tensor by tensor; a file that "
    "doesn't load, or that was written without loss and differs by more than 0.0001, is not delivered. Weights without "
    "their network can't be run: there is no time, no quality and no count of multiply-accumulates."
)


def explanations(result: Result) -> Iterator[tuple[str, str]]:
    """Pairs of a heading and a paragraph."""
    yield "Files", _FILES if result.baseline.latency_ms else _FILES_OF_WEIGHTS
    yield "Size", "The bytes of the file and of those that it can't be loaded without. 1 MB is 1,000,000 bytes."
    if result.baseline.latency_ms:
        yield "Time", _time(result)
        yield from _beside_time(result)
    if result.noise is not None:
        yield "Noise", _noise(result.noise)
    if result.comparison.speedup is not None:
        yield "Speed-up", _speedup(result)
    if result.compressed.quality is not None:
        yield "Quality", _quality(result.compressed.quality)
    if result.compressed.peak_memory_mb is not None:
        yield (
            "Memory",
            "By how much loading the file and answering one example raised the peak of the process's resident memory. "
            "The runtime's own libraries are loaded before and don't count.",
        )
    if result.compressed.macs is not None:
        yield (
            "Multiply-accumulates",
            "Counted for one example on the network that the file was written from. Size, multiply-accumulates and "
            "time are three figures; none follows from another.",
        )


def _time(result: Result) -> str:
    latency = result.baseline.latency_ms[0]
    threads = "one thread" if latency.threads == 1 else f"{latency.threads} threads"
    return (
        f"Wall-clock time of a call on {threads}, {len(latency.samples)} samples for each file. All files were called "
        "in one process, in a new random order each round, after a warm-up and with garbage collection off, so that "
        "what else the machine did met them all alike. Where one call is shorter than 0.05 ms, a sample is the mean "
        "of a burst. Medians are shown; report.json has every sample."
    )


def _noise(noise: Noise) -> str:
    low, high = noise.ci95
    return (
        f"The upload was timed a second time as if it were another file. The ratio of both is {noise.ratio:.3f}, 95 % "
        f"interval {low:.3f} to {high:.3f}; it is 1 where nothing disturbs. What differs by less than that can't be "
        "told apart here."
    )


def _beside_time(result: Result) -> Iterator[tuple[str, str]]:
    latency = result.compressed.latency_ms[0]
    if latency.cpu_median is not None:
        yield (
            "CPU time",
            "What the process's threads worked in a call, all taken together; the median of the same samples. Below "
            "the wall clock's time the CPU was kept from it, above it several threads worked. Examples a second are "
            "the batch's size over the wall clock's median.",
        )
    if latency.energy is not None:
        yield "Energy", _ENERGY[latency.energy.source]
    if result.compressed.load_ms is not None:
        yield "Loading", "From the file to something that answers, once, in a process that had loaded the runtime."


_ENERGY = {
    "rapl": (
        "What the CPU's own counters (RAPL) rose by over a quarter of a second of calls: of all its packages, whatever "
        "else ran on them."
    ),
    "model": (
        "A model: the CPU time times 10 W for each core that works. The CPU's own counters can't be read here. It says "
        "no more than the CPU time does, and leaves out what memory takes."
    ),
}


def _speedup(result: Result) -> str:
    speedup = result.comparison.speedup
    assert speedup is not None
    low, high = speedup.ci95
    return (
        f"The upload's median time over the best file's: {speedup.median:.2f}, 95 % interval {low:.2f} to {high:.2f} "
        "by a bootstrap over rounds. It is the product of what the runtime alone gives "
        f"({speedup.runtime_only:.2f}: the uncompressed network in the same runtime) and what compression gives "
        f"({speedup.compression_only:.2f}). The upload runs in torch, as it was uploaded."
    )


def _quality(quality: Quality) -> str:
    if quality.synthetic:
        return (
            f"There was no data set: the files answered {quality.examples:,} random inputs, and their answers were "
            "compared with the upload's."
        )
    yardstick = {
        "accuracy": "Accuracy is the fraction of test labels met",
        "mean_squared_error": "The mean squared error is against the test targets",
        "agreement": "Without labels the upload is the yardstick: agreement is the fraction of equal answers",
    }[quality.metric]
    return (
        f"On {quality.examples:,} test examples, which neither training nor calibration saw. {yardstick}. The interval "
        "of the change is paired: both files answered the same examples (Tango, 1998). The share of equal "
        "answers, the cosine and the KL divergence compare with the upload's answers."
    )
