"""A safetensors upload of 1 GiB: speed, bytes written for each byte sent, memory that it takes. One JSON line."""

import json
import struct
import tempfile
import time
from pathlib import Path

import httpx2
from support.memory import memory_mb
from support.running_service import bytes_written, running_api

MEBIBYTE = 1 << 20
TENSORS, TENSOR_BYTES = 16, 64 * MEBIBYTE


def write_weights(path: Path) -> int:
    entries = {
        f"layer{number}.weight": {
            "dtype": "F32",
            "shape": [TENSOR_BYTES // 4],
            "data_offsets": [number * TENSOR_BYTES, (number + 1) * TENSOR_BYTES],
        }
        for number in range(TENSORS)
    }
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for number in range(TENSORS):
            file.write(bytes([number]) * TENSOR_BYTES)
    return path.stat().st_size


def main() -> None:
    architecture = {"source": "layers", "layers": [{"type": "ReLU"}]}
    with tempfile.TemporaryDirectory() as folder, running_api() as service:
        path = Path(folder) / "weights.safetensors"
        size = write_weights(path)
        memory, written = memory_mb(service.pid, "VmHWM"), bytes_written(service.pid)
        started = time.perf_counter()
        with path.open("rb") as file:
            answer = httpx2.post(
                f"{service.url}/v1/models",
                files={"file": (path.name, file)},
                data={"architecture": json.dumps(architecture)},
                timeout=600,
            )
        seconds = time.perf_counter() - started
        answer.raise_for_status()
        line = {
            "benchmark": "upload",
            "bytes_sent": size,
            "mb_per_second": round(size / 1e6 / seconds, 1),
            "written_per_sent": round((bytes_written(service.pid) - written) / size, 3),
            "memory_growth_mb": round(memory_mb(service.pid, "VmHWM") - memory, 1),
        }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
