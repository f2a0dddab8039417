"""Weights as they lie in files: fewer bits each, and what makes them float32 again.

packed            the kinds of packing
rounding          values -> codes of so many bits, group by group
in_onnx           packed weights in an ONNX file: unpacked once, when a session starts
in_torchscript    packed weights in an archive: unpacked by its own graph in each call
network           a network whose weights are what its packed ones unpack to

In memory a network holds the unpacked values, so that it answers as its files do.
"""
