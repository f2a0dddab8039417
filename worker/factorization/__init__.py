"""Tensors as products of smaller ones, and layers as chains of smaller ones."""
