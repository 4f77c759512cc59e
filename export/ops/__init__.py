"""The op ``ai.cmow::HybridEncode``: reference, portable ONNX body, and (in C++) the kernels for ONNX Runtime."""
