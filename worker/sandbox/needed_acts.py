"""What a child must be able to do, or no model could be compressed."""

import mmap
import platform
import threading

from worker.sandbox.scene import Act, Scene


def read_inputs(scene: Scene) -> None:
    (scene.job / "inputs" / "model").read_bytes()


def write_outputs(scene: Scene) -> None:
    folder = scene.job / "outputs" / "folder"
    folder.mkdir()
    draft = folder / "draft"
    draft.write_bytes(b"written")
    draft.rename(folder / "final")


def map_a_file(scene: Scene) -> None:
    with (scene.job / "inputs" / "model").open("rb") as file:
        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ).close()


def start_a_thread(_scene: Scene) -> None:
    thread = threading.Thread(target=platform.machine)
    thread.start()
    thread.join()


def multiply_matrices(_scene: Scene) -> None:
    """Large enough for torch to start its pool of threads, forwards and backwards."""
    import torch

    torch.set_num_threads(2)
    matrix = torch.ones(512, 512, requires_grad=True)
    (matrix @ matrix).sum().backward()  # type: ignore[no-untyped-call]


def run_onnx(scene: Scene) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    model = (scene.job / "inputs" / "model").read_bytes()
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


NEEDED: dict[str, Act] = {
    "read the job's inputs": read_inputs,
    "write, rename and make folders in the job's outputs": write_outputs,
    "map a file into memory": map_a_file,
    "start a thread": start_a_thread,
    "multiply matrices and differentiate with torch on 2 threads": multiply_matrices,
    "open an ONNX Runtime session with 2 threads": run_onnx,
}
