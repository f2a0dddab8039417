"""What a bundle needs, in the versions with which it was measured."""

from app.core.measurements import Environment, OutputFormat
from app.core.reports.running import needed_packages


def requirements(file_format: OutputFormat, environment: Environment) -> str:
    packages = sorted({*needed_packages(file_format), "numpy"})
    return "".join(f"{_pinned(name, environment.versions.get(name))}\n" for name in packages)


def _pinned(name: str, version: str | None) -> str:
    """Without the build (`+cpu`): an index may have another one of the same version."""
    return name if version is None else f"{name}=={version.partition('+')[0]}"
