"""What a model or a data set is, found out by loading it."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from app.core.errors import Invalid
from app.core.facts import (
    EVERY_FORMAT,
    PLAIN_FORMATS,
    Blocker,
    DatasetFacts,
    LayerFacts,
    ModelFacts,
    ModelInspection,
    TechniqueFacts,
)
from app.core.facts import Task as DataTask
from app.core.layouts import layout_of
from app.core.recipes import TECHNIQUES
from app.core.tasks import InspectDataset, InspectModel
from worker import openvino_extra
from worker.archives.module import StoredLayer
from worker.counting import count
from worker.data import Dataset, Examples, open_dataset
from worker.exporting import formats_of
from worker.finite_arrays import check_finite
from worker.inputs import random_inputs
from worker.loading import NotEditable, Opened, open_model
from worker.network import Network, layers_of

MOST_CLASSES = 100_000


def inspect_model(task: InspectModel, folder: Path) -> ModelInspection:
    dataset = open_dataset(folder, task.dataset) if task.dataset else None
    opened = open_model(task.model, folder, dataset)
    check_weights(opened.module)
    layout = layout_of({name: tuple(tensor.shape) for name, tensor in opened.module.state_dict().items()})
    return ModelInspection(
        facts=with_techniques(_facts(opened)),
        layout=layout,
        inputs=opened.inputs or None,
        inputs_from=opened.inputs_from,
    )


def check_weights(module: nn.Module) -> None:
    spoilt = [name for name, weight in module.named_parameters() if not torch.isfinite(weight).all()]
    if spoilt:
        raise Invalid(
            f"{len(spoilt)} weights hold NaN or infinity, the first is {spoilt[0]}. Train the model again or take an "
            "earlier checkpoint.",
            code="weights_not_finite",
            title="The model's weights are not finite",
        )


def _facts(opened: Opened) -> ModelFacts:
    try:
        return facts_of(opened.editable())
    except NotEditable as error:
        return _facts_of_uneditable(opened.module, error.blockers)


def facts_of(network: Network) -> ModelFacts:
    if not network.runs:
        return _facts_of_weights(network)
    counts = count(network)
    layers = tuple(
        LayerFacts(
            name=name,
            type=_type(layer),
            parameters=_parameters(layer),
            macs=None if isinstance(layer, StoredLayer) else counts.layer_macs.get(name, 0),
            output_shape=counts.output_shapes.get(name),
        )
        for name, layer in layers_of(network.module).items()
    )
    facts = ModelFacts(
        parameters=network.parameters,
        macs=counts.macs,
        layers=layers,
        answers=_shapes_of_answers(network),
        editable="whole",
        outputs=EVERY_FORMAT if openvino_extra.is_installed() else PLAIN_FORMATS,
    )
    return facts.model_copy(update=_limits(network)) if network.keeps_its_forward else facts


def _shapes_of_answers(network: Network) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(answer.shape) for answer in network.run(*random_inputs(network.inputs, 1, seed=0)))


def _limits(network: Network) -> dict[str, Any]:
    return {
        "editable": "partly" if network.parts else "no",
        "parts": network.looked_at,
        "blocked_by": network.blocked_by,
        "outputs": formats_of(network),
    }


def _facts_of_weights(network: Network) -> ModelFacts:
    layers = tuple(
        LayerFacts(name=name, type=_type(layer), parameters=_parameters(layer), macs=None, output_shape=None)
        for name, layer in layers_of(network.module).items()
    )
    facts = ModelFacts(parameters=network.parameters, macs=None, runs=False, layers=layers, editable="no")
    return facts.model_copy(update={"outputs": formats_of(network)})


def _type(layer: nn.Module) -> str:
    return layer.original_name if isinstance(layer, StoredLayer) else type(layer).__name__


def _facts_of_uneditable(module: nn.Module, blockers: tuple[Blocker, ...]) -> ModelFacts:
    layers = tuple(
        LayerFacts(
            name=name,
            type=getattr(layer, "original_name", type(layer).__name__),
            parameters=_parameters(layer),
            macs=None,
            output_shape=None,
        )
        for name, layer in module.named_modules()
        if name and _parameters(layer)
    )
    total = sum(parameter.numel() for parameter in module.parameters())
    return ModelFacts(parameters=total, macs=None, layers=layers, editable="no", blocked_by=blockers, outputs=())


def _parameters(layer: nn.Module) -> int:
    return sum(parameter.numel() for parameter in layer.parameters(recurse=False))


def with_techniques(facts: ModelFacts) -> ModelFacts:
    reasons = {name: step.unavailable_because(facts) for name, step in TECHNIQUES.items()}
    techniques = tuple(
        TechniqueFacts(technique=name, available=reason is None, reason=reason) for name, reason in reasons.items()
    )
    return facts.model_copy(update={"techniques": techniques})


def inspect_dataset(task: InspectDataset, folder: Path) -> DatasetFacts:
    dataset = open_dataset(folder, task.dataset)
    for name, array in dataset.arrays.items():
        check_finite(name, array)
    kind = _task_of(dataset)
    return DatasetFacts(
        arrays=dataset.facts_of_arrays(),
        task=kind,
        examples={"train": len(dataset.train), "test": len(dataset.test)},
        classes=max(_classes(dataset.train), _classes(dataset.test)) if kind == "classification" else None,
    )


def _task_of(dataset: Dataset) -> DataTask:
    labels = dataset.train.labels
    if labels is None:
        return "unlabelled"
    return "regression" if labels.dtype.kind == "f" else "classification"


def _classes(examples: Examples) -> int:
    assert examples.labels is not None
    labels = examples.labels[examples.rows]
    if labels.min() < 0 or labels.max() >= MOST_CLASSES:
        raise Invalid(
            f"Integer labels are classes, numbered from 0 to at most {MOST_CLASSES - 1}; these go from {labels.min()} "
            f"to {labels.max()}. Number the classes from 0, or make the labels floats if they are values to predict.",
            code="labels_out_of_range",
            title="The labels are not class numbers",
        )
    return int(labels.max()) + 1
