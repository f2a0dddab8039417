"""Recurrent layers in network.json: each kind's constructor takes other arguments."""

from pathlib import Path

import pytest
import torch
from torch import fx, nn

from app.core.inputs import InputSpec
from worker.exporting import export
from worker.exporting.load_network import load_network
from worker.network import Network

LAYERS = {
    "lstm": lambda: nn.LSTM(6, 8, proj_size=4, bidirectional=True, batch_first=True),
    "gru": lambda: nn.GRU(6, 8, num_layers=2, batch_first=True),
    "rnn": lambda: nn.RNN(6, 8, bias=False, batch_first=True),
    "rnn of relu": lambda: nn.RNN(6, 8, nonlinearity="relu", batch_first=True),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("kind", LAYERS)
def test_a_recurrent_layer_is_read_as_it_was_written(tmp_path: Path, kind: str) -> None:
    graph = fx.Graph()
    graph.output(graph.call_module("layer", (graph.placeholder("x"),)))
    torch.manual_seed(0)
    module = fx.GraphModule({"layer": LAYERS[kind]()}, graph).eval()
    network = Network(module, (InputSpec(name="x", shape=("batch", 5, 6)),))
    path = tmp_path / "model.safetensors"
    description, _ = export(network, "state_dict", path)
    x = torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(load_network(description, path)(x), module(x))
