"""Imported by the fork server: whatever a child would otherwise import for itself, seconds each time.

Nothing here computes: torch must not start threads before a child is forked.
"""

import gc
import importlib
from contextlib import suppress

import numpy.random
import onnxruntime.quantization
import torch.onnx

import worker.child
import worker.pipeline

__all__ = ["numpy", "onnxruntime", "torch", "worker"]

# Torch imports it when it counts work; private, so it may be gone in another version, which then is only slower.
with suppress(ImportError):
    importlib.import_module("torch._dynamo")

# What lives now lives for ever: a child's garbage collector needn't look at it, nor copy its pages by doing so.
gc.collect()
gc.freeze()
