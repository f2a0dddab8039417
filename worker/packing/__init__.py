"""Weights as they lie in files: fewer bits each, and what makes them float32 again.

packed            the kinds of packing
bits              codes of a few bits in bytes
methods           how each method of weight quantization finds its codes:
groups              which weights share a scale
rounding            evenly spaced levels from the smallest weight to the largest
fitted_levels       evenly spaced levels fitted to the weights
few_levels          three and two
codebooks           levels where the weights are
deflated            packed tensors as zlib streams, in a state dict
float8              floats of 8 bits, with a scale for each row
error_compensation  later weights make up for the errors of earlier ones
table             what a weight has become, for the report
in_file           which packed weight a file's tensor is
in_onnx           packed weights in an ONNX file: in kernels, or unpacked once, when a session starts
blocks              codes as those kernels take them
onnx_kernels        which layers can have them
onnx_writer         nodes and tensors
in_torchscript    packed weights in an archive: unpacked by its own graph in each call
network           a network whose weights are what its packed ones unpack to

In memory a network holds the unpacked values, so that it answers as its files do.
"""
