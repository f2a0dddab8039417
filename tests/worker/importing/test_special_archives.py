"""Archives that were treated before they were saved, and those that can't become editable."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.worker.importing.archives import archive_of, rebuilt, rebuilt_from, reopened
from tests.worker.importing.convolutional import Convolutional
from tests.worker.importing.networks import CASES, Case
from tests.worker.importing.sequential import Recurrent
from worker.loading.importing import Unsupported, import_torchscript
from worker.loading.importing.converter import convert
from worker.loading.lifting import lift
from worker.loading.verification import Differs, verify

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")

LAYERS = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.Embedding)


def case_named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def vectors(batch: int) -> tuple[Tensor, ...]:
    return (torch.randn(batch, 6, generator=torch.Generator().manual_seed(batch)),)


class TestTreatedArchives:
    def test_frozen(self) -> None:
        """Names are lost by freezing, but what a layer needs is trainable again."""
        case = case_named("convolutional")
        source = Convolutional().eval()
        frozen = torch.jit.freeze(torch.jit.script(source))
        result = rebuilt(reopened(frozen), case, source)
        assert verify(result.network, result.archive, case.inputs).largest < 1e-5
        kinds = [type(one) for one in result.network.modules()]
        assert nn.Conv2d in kinds
        assert nn.Linear in kinds
        assert len(list(result.network.parameters())) >= 4

    def test_half_precision(self) -> None:
        source = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).half()
        result = rebuilt_from(source, lambda batch: (vectors(batch)[0].half(),), way="trace")
        assert next(result.network.parameters()).dtype == torch.float16
        widened = result.network.float()
        torch.testing.assert_close(widened(*vectors(5)), source.float()(*vectors(5)))

    def test_fused_encoder_is_imported_as_its_trainable_form(self) -> None:
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        result = rebuilt_from(
            nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), lambda n: (torch.ones(n, 5, 8),)
        )
        assert verify(result.network, result.archive, lambda n: (torch.randn(n, 5, 8),)).largest < 1e-5
        assert not any("fwd" in str(node.target) for node in result.network.graph.nodes)

    @pytest.mark.parametrize("name", ["transformer", "transformer, norm first"])
    def test_an_encoder_traced_without_gradients_trains_again(self, name: str) -> None:
        """Its trace holds the fused operator, which has no gradient."""
        case = case_named(name)
        source = case.build().eval()
        torch.backends.mha.set_fastpath_enabled(True)  # as it is for who makes an archive; our worker turns it off
        try:
            with torch.no_grad():
                archive = archive_of(source, case, "trace")
        finally:
            torch.backends.mha.set_fastpath_enabled(False)
        assert "_transformer_encoder_layer_fwd" in str(archive.inlined_graph)
        network = rebuilt(archive, case, source).network
        assert verify(network, archive, case.inputs).largest < 1e-5
        network(*case.inputs(2)).sum().backward()
        assert all(one.grad is not None for one in network.parameters())

    def test_other_sizes_stay_free(self) -> None:
        case = case_named("u-net")
        source = case.build().eval()
        result = rebuilt(archive_of(source, case, "trace"), case, source)
        torch.testing.assert_close(result.network(torch.ones(3, 1, 14, 10)), source(torch.ones(3, 1, 14, 10)))

    def test_the_archive_stays_what_it_was(self) -> None:
        result = rebuilt_from(nn.Sequential(nn.Linear(6, 2)), vectors)
        before = result.archive(*vectors(2))
        with torch.no_grad():
            result.network.get_parameter("0.weight").zero_()
        assert torch.equal(result.archive(*vectors(2)), before)


@pytest.mark.filterwarnings("ignore:The tensor attributes .* were assigned during export")
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning")
class TestExportedPrograms:
    @pytest.mark.parametrize("name", ["residual", "lstm", "transformer", "tied", "in place", "dict output", "named"])
    def test_lift_the_same_way(self, name: str) -> None:
        case = case_named(name)
        source = case.build().eval()
        free = tuple({0: torch.export.Dim.AUTO} for _ in case.shapes)
        program = torch.export.export(source, case.inputs(2), dynamic_shapes=free)
        network = lift(program.module(check_guards=False))
        assert verify(network, source, case.inputs).largest < 1e-5
        names = {network.meta["renamed"].get(one, one) for one in network.state_dict()}
        assert set(source.state_dict()) <= names

    @pytest.mark.parametrize("name", ["residual", "grouped squeeze-excite", "positional"])
    def test_decomposed_ones_have_the_same_layers(self, name: str) -> None:
        case = case_named(name)
        source = case.build().eval()
        free = tuple({0: torch.export.Dim.AUTO} for _ in case.shapes)
        program = torch.export.export(source, case.inputs(2), dynamic_shapes=free).run_decompositions()
        network = lift(program.module(check_guards=False))
        assert verify(network, source, case.inputs).largest < 1e-5
        kinds = {type(one) for one in network.modules()}
        expected = {type(one) for one in source.modules() if isinstance(one, LAYERS)}
        assert expected <= kinds


class TestConverter:
    @pytest.mark.parametrize("name", ["residual", "lstm", "transformer"])
    def test_keeps_names_and_parameters(self, name: str) -> None:
        case = case_named(name)
        source = case.build().eval()
        archive = archive_of(source, case, "trace")
        network = lift(convert(archive, case.inputs(2)))
        assert verify(network, archive, case.inputs).largest < 1e-5
        names = {network.meta["renamed"].get(one, one) for one, _ in network.named_parameters()}
        assert names == {one for one, _ in source.named_parameters()}


class DataDependentLoop(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        while bool(x.norm() > 1):
            x = x / 2
        return x


class DataDependentBranch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if bool(x.sum() > 0):
            return x + 1
        return x - 1


class Stateful(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.seen + x.mean(0)
        return x + self.seen


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        self.seen.add_(x.mean(0))
        return x + self.seen


class Random(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


class Endless(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        for _ in range(100_000):
            x = x + 1
        return x


class Writing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        torch.save(x, "written")
        return x


class Within(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 6), inner)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class TestRefusals:
    @pytest.mark.parametrize(
        ("inner", "operator"),
        [
            (DataDependentLoop, "prim::Loop"),
            (DataDependentBranch, "prim::If"),
            (Stateful, "prim::SetAttr"),
            (Counting, "aten::add_"),
            (Random, "aten::rand_like"),
            (Endless, "prim::Loop"),
        ],
    )
    def test_names_the_operator_its_place_and_what_to_do(self, inner: Callable[[], nn.Module], operator: str) -> None:
        with pytest.raises(Unsupported) as refusal:
            rebuilt_from(Within(inner()), vectors)
        assert refusal.value.operator == operator
        assert refusal.value.where.startswith("body.1")
        assert operator in refusal.value.detail

    def test_a_network_that_writes_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(Unsupported, match="aten::save"):
            rebuilt_from(Within(Writing()), vectors)
        assert not list(tmp_path.iterdir())

    def test_a_trace_in_training_mode(self) -> None:
        case = case_named("convolutional")
        archive = reopened(torch.jit.trace(Convolutional().train(), case.inputs(2), check_trace=False))
        with pytest.raises(Unsupported, match=r"eval\(\)"):
            import_torchscript(archive, case.inputs(2))

    @pytest.mark.filterwarnings("ignore")
    def test_packed_weights(self) -> None:
        quantized = torch.ao.quantization.quantize_dynamic(Within(nn.Linear(6, 6)), {nn.Linear})
        archive = reopened(torch.jit.script(quantized))
        with pytest.raises(Unsupported, match="before quantization"):
            import_torchscript(archive, vectors(2))

    def test_inputs_that_the_network_refuses(self) -> None:
        case = case_named("lstm")
        archive = archive_of(Recurrent(nn.LSTM, 16).eval(), case, "script")
        with pytest.raises(Unsupported, match="inputs"):
            import_torchscript(archive, (torch.zeros(2, 5, 7),))

    def test_a_wrong_number_of_inputs(self) -> None:
        case = case_named("two in, two out")
        archive = archive_of(case.build().eval(), case, "script")
        with pytest.raises(Unsupported, match="it takes left, right, and 1 inputs are given"):
            import_torchscript(archive, case.inputs(2)[:1])


class TestVerification:
    def test_names_the_layer_that_differs(self) -> None:
        result = rebuilt_from(nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2)), vectors)
        with torch.no_grad():
            result.network.get_parameter("2.bias").add_(1.0)
        with pytest.raises(Differs, match="first in `2`"):
            verify(result.network, result.archive, vectors)

    def test_tells_random_archives_apart(self) -> None:
        archive = reopened(torch.jit.script(Random()))
        with pytest.raises(Differs, match="differently each time"):
            verify(nn.Identity(), archive, vectors)

    def test_refuses_a_batch_that_was_fixed(self) -> None:
        class Fixed(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x.view(2, 3, 2).sum(1)

        archive = reopened(torch.jit.trace(Fixed(), vectors(2)))
        network = lift(import_torchscript(archive, vectors(2)).graph_module)
        with pytest.raises(Differs, match="batch of 5"):
            verify(network, archive, vectors)

    def test_a_size_that_decided_is_noted(self) -> None:
        case = case_named("control flow")
        source = case.build().eval()
        imported = rebuilt(archive_of(source, case, "script"), case, source).imported
        assert any("size(1) > 4 is True" in guard for guard in imported.guards)
        assert any("training mode only" in warning for warning in imported.warnings)


class TestWhatIsDecided:
    @pytest.mark.filterwarnings("ignore:.*was found in ScriptModule constants")
    def test_a_setting_that_sizes_decide_is_fixed_and_noted(self) -> None:
        case = case_named("encoder decoder")
        source = case.build().eval()
        result = rebuilt(archive_of(source, case, "script"), case, source)
        mixing = [node for node in result.network.graph.nodes if "is_causal" in node.kwargs]
        assert {node.kwargs["is_causal"] for node in mixing} == {True}
        assert any("is True" in guard for guard in result.imported.guards)

    def test_a_number_from_numbers_in_the_code_is_computed_once(self) -> None:
        class Windows(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                window = torch.min(torch.tensor([3, 5]).to(torch.int64))
                return x.view(x.size(0), int(window), -1)

        network = rebuilt_from(Windows(), vectors, "script").network
        assert [node.op for node in network.graph.nodes if node.op == "get_attr" or node.target == "item"] == []
        assert network(torch.ones(4, 6)).shape == (4, 3, 2)
