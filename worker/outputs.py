"""The files of a compress task: what is written, under which name, and the probe that proves each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import nn

from app.core.errors import Problem
from app.core.measurements import OutputFormat
from app.core.result_warnings import left_out
from app.core.tasks import Candidate, Compress, Role, WrittenFile
from app.core.wanted_files import SUFFIXES
from worker.allocator import give_back_freed_memory
from worker.applying import applied
from worker.counting import count
from worker.evaluation.arithmetic import arithmetic_of
from worker.evaluation.engines import DEFAULT_ENGINE, tried_engines, worth_setting
from worker.evaluation.stored_weights import write_weights
from worker.exporting import NOT_WRITABLE, export
from worker.inputs import as_inputs, random_inputs
from worker.network import Network
from worker.run import Run

FOLDER = "outputs"
# What one format can't do is no reason to fail the others: it lacks an operator, or integers for any of the layers.
LEFT_OUT = frozenset({NOT_WRITABLE, "nothing_quantized"})
PROBE_EXAMPLES = 8


@dataclass(frozen=True)
class State:
    """What is the same for every file that is written from one state of the network."""

    module: nn.Module
    probe: str
    parameters: int
    nonzero_parameters: int
    macs: int | None


@dataclass
class Outputs:
    task: Compress
    folder: Path
    run: Run
    files: list[WrittenFile] = field(default_factory=list)
    _states: list[State] = field(default_factory=list)
    _not_writable: set[OutputFormat] = field(default_factory=set)

    @property
    def wanted(self) -> list[OutputFormat]:
        """Formats that were asked for, without those that the network turned out not to be writable in."""
        return [each for each in dict.fromkeys(self.task.outputs) if not self._not_writable & {each, _runtime(each)}]

    def add_original(self, network: Network) -> None:
        """The upload itself (traced, where it can't be run as it is); and the network in each wanted runtime. Weights
        alone have none."""
        if not network.runs:
            self._add(network, "state_dict", "upload", Path(self.task.model.path).name, self.task.model.path)
            return
        if self.task.model.format == "torchscript" and not network.widened:
            self._add(network, "torchscript", "upload", Path(self.task.model.path).name, self.task.model.path)
        else:
            self._write(network, "torchscript", "upload", "upload.torchscript.pt")
        for runtime in dict.fromkeys(_runtime(output) for output in self.task.outputs):
            try:
                self._write(network, runtime, "uncompressed", f"uncompressed{SUFFIXES[runtime]}")
            except Problem as problem:
                self._leave_out(runtime, problem)

    def _leave_out(self, output: OutputFormat, problem: Problem) -> None:
        """Others are delivered, if there are some; raises the problem where there are none."""
        self._not_writable.add(output)
        if problem.code not in LEFT_OUT or not self.wanted:
            raise problem
        self.run.warn(left_out(output, problem))

    def add_step(self, network: Network, position: int) -> None:
        """In the first wanted format. What the last step leaves is the artifact."""
        first = self.wanted[0]
        try:
            self._add_step(network, position, first)
        except Problem as problem:
            self._leave_out(first, problem)
            self.add_step(network, position)

    def _add_step(self, network: Network, position: int, first: OutputFormat) -> None:
        name = f"step-{position}{SUFFIXES[first]}"
        if position < len(self.task.steps) - 1 or self.task.candidates:
            self._write(network, first, "step", name, position)
            return
        artifact = self._write(network, first, "artifact", f"model{SUFFIXES[first]}")
        self.files.append(artifact.model_copy(update={"name": name, "role": "step", "step": position}))

    def take_over(self, files: Sequence[WrittenFile], network: Network) -> None:
        """Files that an earlier child wrote after steps; the last one from `network`."""
        self.files += files
        last = files[-1]
        assert last.probe is not None
        self._states.append(State(network.module, last.probe, last.parameters, last.nonzero_parameters, last.macs))

    def add_artifacts(self, network: Network, unquantized: Network) -> None:
        """`unquantized` is the network before its first quantize step: where int8 is slower, its file is better. What
        is said while a file is written is of that file: what a step says of itself has been taken before."""
        written = {file.format for file in self.files if file.role == "artifact"}
        for output in self.wanted:
            try:
                if output not in written:
                    self._write(network, output, "artifact", f"model{SUFFIXES[output]}")
                    self._add_to_last(details=self.run.take_details())
                if network.quantized_in(output) and network.runs:
                    self._add_unquantized(unquantized, output)
            except Problem as problem:
                self.run.take_details()
                self._leave_out(output, problem)

    def add_candidates(self, network: Network) -> None:
        """Every one that can be made: what a format or a runtime lacks is no reason to fail the others."""
        for candidate in (each for each in self.task.candidates if each.output in self.wanted):
            name = f"model.{candidate.precision}{SUFFIXES[candidate.output]}"
            try:
                changed = self._quantized(network, candidate)
                self._write(changed, candidate.output, "artifact", name)
            except Problem as problem:
                self.run.warn(left_out(name, problem))
                self.run.take_details()
            else:
                self._add_to_last(precision=candidate.precision, details=self.run.take_details())

    def _add_to_last(self, **told: object) -> None:
        self.files[-1] = self.files[-1].model_copy(update=told)

    def _quantized(self, network: Network, candidate: Candidate) -> Network:
        for step in candidate.steps:
            network = applied(step, network, self.run, self.run.seed + len(network.steps))
        return network

    def _add_unquantized(self, network: Network, output: OutputFormat) -> None:
        name = f"model.float32{SUFFIXES[output]}"
        same = self._same_file(network, output, name)
        if same is None:
            self._write(network, output, "artifact", name)
        else:
            self.files.append(same.model_copy(update={"name": name, "role": "artifact", "step": None}))

    def _same_file(self, network: Network, output: OutputFormat, name: str) -> WrittenFile | None:
        probe = self._state(network, name).probe
        same = (f for f in self.files if f.format == output and f.probe == probe and not f.quantized)
        return next((file for file in same if file.role != "upload"), None)

    def _write(
        self, network: Network, output: OutputFormat, role: Role, name: str, step: int | None = None
    ) -> WrittenFile:
        path = self.folder / FOLDER / name
        self.run.progress(0.5, f"Writing {name}")
        give_back_freed_memory()
        companions = export(network, output, path)
        inside = tuple(f"{FOLDER}/{companion.name}" for companion in companions)
        return self._add(network, output, role, name, f"{FOLDER}/{name}", inside, step)

    def _add(
        self,
        network: Network,
        output: OutputFormat,
        role: Role,
        name: str,
        path: str,
        companions: tuple[str, ...] = (),
        step: int | None = None,
    ) -> WrittenFile:
        state = self._state(network, name)
        file = WrittenFile(
            name=name,
            path=path,
            companions=companions,
            format=output,
            role=role,
            step=step,
            quantized=role != "upload" and network.quantized_in(output),
            parameters=state.parameters,
            nonzero_parameters=state.nonzero_parameters,
            macs=state.macs,
            probe=state.probe,
        )
        if role != "upload" and output == "torchscript" and network.before_tracing:
            file = self._with_engine(file, network) if "int8" in arithmetic_of(file, self.folder) else file
        self.files.append(file)
        return file

    def _with_engine(self, file: WrittenFile, network: Network) -> WrittenFile:
        trials = tried_engines(file, self.folder, network.inputs)
        engine = worth_setting(trials)
        for trial in trials:
            numbers = {"milliseconds": round(trial.milliseconds, 3), "cosine": round(trial.cosine, 4)}
            chosen = trial.engine == (engine or DEFAULT_ENGINE)
            self.run.detail("Engines of torch", engine=trial.engine, **numbers, chosen=chosen)
        return file.model_copy(update={"engine": engine})

    def _state(self, network: Network, name: str) -> State:
        """Counted and probed once, as long as no step changes the module; `name` is of the first file of it."""
        known = next((state for state in self._states if state.module is network.module), None)
        if known is None:
            known = State(
                network.module,
                self._write_probe(network, name),
                network.parameters,
                network.nonzero_parameters,
                count(network).macs if network.runs else None,
            )
            self._states.append(known)
        return known

    def _write_probe(self, network: Network, name: str) -> str:
        if network.runs:
            return self._write_answers(network, name)
        if network.module is self.run.upload.module:
            return self.task.model.path
        path = f"{FOLDER}/{name}.probe.safetensors"
        write_weights(network.module, self.folder / path)
        return path

    def _write_answers(self, network: Network, name: str) -> str:
        """Real examples where there are some: a network may answer random ones in a way that hides differences."""
        path = f"{FOLDER}/{name}.probe.npz"
        if self.run.data is None:
            inputs = random_inputs(network.inputs, PROBE_EXAMPLES, self.run.seed)
        else:
            test = self.run.data.test
            arrays, _ = test.take(test.chosen(PROBE_EXAMPLES, self.run.seed))
            inputs = as_inputs(network.inputs, arrays)
        give_back_freed_memory()
        outputs = network.run(*inputs)
        named = {f"input.{spec.name}": tensor.numpy() for spec, tensor in zip(network.inputs, inputs, strict=True)}
        answers = {f"output.{number}": output.float().numpy() for number, output in enumerate(outputs)}
        np.savez(self.folder / path, allow_pickle=False, **named, **answers)
        return path


def _runtime(output: OutputFormat) -> OutputFormat:
    """A state dict runs in torch; traced is how torch runs it fastest without the network's source."""
    return "torchscript" if output == "state_dict" else output
