"""What flows through an ONNX graph on examples: statistics for each channel, one batch at a time."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime

Feed = Mapping[str, np.ndarray]
Fold = Callable[[np.ndarray, np.ndarray], np.ndarray]


def values(model: onnx.ModelProto, names: Sequence[str], feed: Feed) -> dict[str, np.ndarray]:
    """The tensors called `names`, inputs of the graph included, on one batch."""
    return _session(model, names)(feed)


def channel_means(model: onnx.ModelProto, axes: Mapping[str, int], feeds: Iterable[Feed]) -> dict[str, np.ndarray]:
    """The mean of each channel over examples and positions. `axes` says where a tensor's channels stand."""
    run, sums, batches = _session(model, list(axes)), dict[str, np.ndarray](), 0
    for feed in feeds:
        batches += 1
        for name, value in run(feed).items():
            sums[name] = sums.get(name, np.float64(0)) + _other_axes(value, axes[name]).mean(axis=1)
    return {name: total / batches for name, total in sums.items()}


def channel_maxima(model: onnx.ModelProto, axes: Mapping[str, int], feeds: Iterable[Feed]) -> dict[str, np.ndarray]:
    """The largest absolute value of each channel."""
    run, largest = _session(model, list(axes)), dict[str, np.ndarray]()
    for feed in feeds:
        for name, value in run(feed).items():
            found = np.abs(_other_axes(value, axes[name])).max(axis=1)
            largest[name] = np.maximum(largest.get(name, found), found)
    return largest


def _other_axes(value: np.ndarray, axis: int) -> np.ndarray:
    """[channels, everything else]"""
    return np.moveaxis(value, axis, 0).reshape(value.shape[axis], -1)


def _session(model: onnx.ModelProto, names: Sequence[str]) -> Callable[[Feed], dict[str, np.ndarray]]:
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    given = {value.name for value in model.graph.input}
    computed = [name for name in dict.fromkeys(names) if name not in given]
    del exposed.graph.output[:]
    exposed.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in computed)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(exposed.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run(feed: Feed) -> dict[str, np.ndarray]:
        answers = session.run(computed, dict(feed)) if computed else ()
        found = {name: np.asarray(answer) for name, answer in zip(computed, answers, strict=True)}
        return found | {name: feed[name] for name in names if name in given}

    return run
