"""The ops of the domain ``ai.cmow``: references, portable ONNX bodies, and (in C++) the kernels for ONNX Runtime."""
