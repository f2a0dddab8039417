"""What flows through an ONNX graph on examples, one batch at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

Feed = Mapping[str, np.ndarray]


def values(model: onnx.ModelProto, names: Sequence[str], feeds: Iterable[Feed]) -> Iterator[dict[str, np.ndarray]]:
    """For each batch the tensors called `names`, inputs of the graph included. The graph is loaded once."""
    given = {value.name for value in model.graph.input}
    computed = [name for name in dict.fromkeys(names) if name not in given]
    session = _session(model, computed)
    for feed in feeds:
        answers = session.run(computed, dict(feed)) if computed else ()
        found = {name: np.asarray(answer) for name, answer in zip(computed, answers, strict=True)}
        yield found | {name: feed[name] for name in names if name in given}


def channel_means(model: onnx.ModelProto, axes: Mapping[str, int], feeds: Iterable[Feed]) -> dict[str, np.ndarray]:
    """The mean of each channel over examples and positions. `axes` says where a tensor's channels stand."""
    sums, batches = dict[str, np.ndarray](), 0
    for batch in values(model, list(axes), feeds):
        batches += 1
        for name, value in batch.items():
            sums[name] = sums.get(name, np.float64(0)) + _other_axes(value, axes[name]).mean(axis=1)
    return {name: total / batches for name, total in sums.items()}


def channel_maxima(model: onnx.ModelProto, axes: Mapping[str, int], feeds: Iterable[Feed]) -> dict[str, np.ndarray]:
    """The largest absolute value of each channel."""
    largest = dict[str, np.ndarray]()
    for batch in values(model, list(axes), feeds):
        for name, value in batch.items():
            found = np.abs(_other_axes(value, axes[name])).max(axis=1)
            largest[name] = np.maximum(largest.get(name, found), found)
    return largest


def _other_axes(value: np.ndarray, axis: int) -> np.ndarray:
    """[channels, everything else]"""
    return np.moveaxis(value, axis, 0).reshape(value.shape[axis], -1)


def _session(model: onnx.ModelProto, answers: Sequence[str]) -> onnxruntime.InferenceSession:
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    del exposed.graph.output[:]
    exposed.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in answers)
    return session_of(exposed.SerializeToString(), threads=1)


def session_of(model: Path | bytes, *, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
