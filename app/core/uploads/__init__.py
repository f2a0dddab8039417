"""Reads an uploaded file's structure without torch, and refuses what is malformed or not allowed."""

from app.core.uploads.datasets import DatasetUpload, read_dataset
from app.core.uploads.models import ModelUpload, convert_to_safetensors, read_model

__all__ = ["DatasetUpload", "ModelUpload", "convert_to_safetensors", "read_dataset", "read_model"]
