"""Arguments that several commands share, and what they mean in a request."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

InputFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]
ArchitectureFile = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="JSON of the network that a state dict belongs to.")
]
InputsJson = Annotated[str | None, typer.Option(help='Such as \'[{"name": "x", "shape": ["batch", 1, 28, 28]}]\'.')]
DataFile = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help=".npz, .safetensors, or a .zip of folders of images.")
]
TransformJson = Annotated[
    str | None, typer.Option(help='For images, such as \'{"size": 224}\'; "mean" and "std" may stand there too.')
]
Preset = Annotated[str | None, typer.Option(help="small, fast or safe.", show_default="fast, where no recipe is given")]
RecipeFile = Annotated[
    Path | None,
    typer.Option("--recipe", exists=True, dir_okay=False, help='JSON such as {"steps": [...]}, or a recipe.json.'),
]
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        "-f",
        help="onnx, torchscript, state_dict, exported_program or openvino, may be repeated; or auto.",
    ),
]
Seed = Annotated[int, typer.Option(min=0)]


def job_options(preset: str | None, recipe: Path | None, formats: list[str] | None, seed: int) -> dict[str, Any]:
    """The body of a job, without its model and its data set."""
    if preset is not None and recipe is not None:
        raise typer.BadParameter("give --preset or --recipe, not both")
    asked = {"preset": preset or "fast"} if recipe is None else _recipe_in(read_json_file(recipe))
    return {"recipe": asked, "outputs": formats or ["onnx"], "seed": seed}


def _recipe_in(document: Any) -> Any:
    """A recipe, or the `recipe.json` of an earlier job, which holds the whole request."""
    return document.get("recipe", document) if isinstance(document, dict) else document


def read_json_file(path: Path | None) -> Any:
    return None if path is None else read_json(path.read_text())


def read_json(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"this is not JSON: {text[:60]!r}") from error
