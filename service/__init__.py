"""The production service: scores sentence pairs, similarity and entailment, from a bundle through ONNX Runtime."""
