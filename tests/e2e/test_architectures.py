"""State dicts of every kind of architecture, through the real service and its sandbox."""

from pathlib import Path

import pytest
import torch
from torch import nn

from app.client import Client
from tests.api.conftest import STATE_DICT, TORCHSCRIPT
from tests.worker.architectures.configs import BERT
from tests.worker.architectures.test_transformers_configs import source_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

PRUNED = {"steps": [{"technique": "magnitude_pruning", "sparsity": 0.5}]}
INT8 = {"steps": [{"technique": "dynamic_quantization"}]}


def saved(folder: Path, network: nn.Module) -> Path:
    torch.save(network.state_dict(), folder / "weights.pt")
    return folder / "weights.pt"


def test_a_config_json_makes_a_network_of_a_pickled_state_dict(client: Client, tmp_path: Path) -> None:
    harmful = {"auto_map": {"AutoModel": "someone--code.Network"}, "attn_implementation": "someone/kernel"}
    architecture = {"source": "transformers", "config": {**BERT, **harmful}}
    model = client.upload_model(saved(tmp_path, source_of(BERT)), architecture=architecture)
    model = client.wait_for_model(model.id, 120)
    assert model.status == "ready", model.problem
    assert (model.inputs_from, model.facts.editable, model.architecture_from) == ("guessed", "whole", "given")
    assert model.architecture.config == BERT
    job = client.wait(client.submit({"model": model.id, "recipe": INT8, "outputs": ["onnx"]}).id, 240)
    assert job.status == "succeeded", job.error
    assert job.result.artifacts[0].verified.cosine > 0.99


def test_weights_of_an_uploaded_archive_are_recognized(client: Client, tmp_path: Path) -> None:
    archive = client.wait_for_model(client.upload_model(TORCHSCRIPT).id, 120)
    weights = client.wait_for_model(client.upload_model(STATE_DICT).id, 120)
    assert weights.status == "ready", weights.problem
    assert (weights.architecture.model, weights.architecture_from) == (archive.id, "recognized")
    assert weights.facts.macs == archive.facts.macs
    job = client.wait(client.submit({"model": weights.id, "recipe": PRUNED, "outputs": ["state_dict"]}).id, 240)
    assert job.status == "succeeded", job.error
