import subprocess
import sys


def test_the_supervisor_leaves_out_torch_and_the_web_framework() -> None:
    code = "import worker.__main__, worker.supervisor, sys; print(*sys.modules)"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert "worker.supervisor" in loaded
    assert not {"torch", "numpy", "onnx", "onnxruntime", "fastapi", "starlette"} & loaded
