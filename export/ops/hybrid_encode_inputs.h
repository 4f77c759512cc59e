// The inputs of ai.cmow::HybridEncode, and the checks that need no number of theirs: types and shapes, on the CPU and a GPU alike.
#pragma once

#include <string>
#include <vector>

#include "hybrid_encode.h"
#include "ort_op.h"

namespace cmow {
namespace {

enum Input : size_t { kTokenIds, kCuSeqlens, kVectors, kForwardDeltas, kBackwardDeltas, kScales, kInputs };
inline constexpr const char* kInputNames[kInputs] = {"token_ids", "cu_seqlens", "vectors", "forward_deltas", "backward_deltas", "scales"};

inline Tensor read_input(const ort::Api& api, const ort::KernelContext* context, Input index) {
  return cmow::read_input(api, context, index, kInputNames[index]);
}

inline bool has_scales(const ort::Api& api, const ort::KernelContext* context) {
  size_t count = 0;
  check(api.KernelContext_GetInputCount(context, &count));
  if (count <= kScales) return false;
  const ort::Value* value = nullptr;
  check(api.KernelContext_GetInput(context, kScales, &value));
  return value != nullptr;
}

inline TableType table_type(const Tensor& tensor) {
  switch (tensor.type) {
    case ort::kFloat: return TableType::kFloat32;
    case ort::kFloat16: return TableType::kFloat16;
    case ort::kInt8: return TableType::kInt8;
    default: wrong_type(tensor, "float32, float16 or int8");
  }
}

/// The tables and their vocabulary size V.
struct CheckedTables {
  Tables tables;
  int64_t vocabulary;
};

inline const float* read_scales(const ort::Api& api, const ort::KernelContext* context, TableType type, int64_t vocabulary) {
  if (!has_scales(api, context)) {
    if (type == TableType::kInt8) throw InvalidInput("scales is missing, which int8 tables need");
    return nullptr;
  }
  const Tensor scales = read_input(api, context, kScales);
  if (type != TableType::kInt8) throw InvalidInput("scales is given, which only int8 tables take: shape " + text(scales.shape));
  if (scales.type != ort::kFloat) wrong_type(scales, "float32");
  if (scales.shape != std::vector<int64_t>{vocabulary, 3}) wrong_shape(scales, text({vocabulary, 3}));
  return scales.as<float>();
}

inline CheckedTables read_tables(const ort::Api& api, const ort::KernelContext* context) {
  const Tensor vectors = read_input(api, context, kVectors);
  const TableType type = table_type(vectors);
  if (vectors.shape.size() != 2) wrong_shape(vectors, "[V, e]");
  const int64_t vocabulary = vectors.shape[0], vector_size = vectors.shape[1];
  if (vocabulary > INT32_MAX) wrong_shape(vectors, "[V, e] with V <= 2147483647");
  if (vector_size > INT16_MAX) wrong_shape(vectors, "[V, e] with e <= 32767");

  const Tensor forward = read_input(api, context, kForwardDeltas), backward = read_input(api, context, kBackwardDeltas);
  for (const Tensor* matrices : {&forward, &backward}) {
    if (matrices->type != vectors.type) wrong_type(*matrices, text(vectors.type) + " like vectors");
    const auto& shape = matrices->shape;
    if (shape.size() != 3 || shape[0] != vocabulary || shape[1] != shape[2])
      wrong_shape(*matrices, "[" + std::to_string(vocabulary) + ", d, d]");
    if (shape[1] < 1 || shape[1] > kMaxSide) wrong_shape(*matrices, "[V, d, d] with d from 1 to " + std::to_string(kMaxSide));
  }
  if (backward.shape != forward.shape) wrong_shape(backward, text(forward.shape) + " like forward_deltas");
  const float* scales = read_scales(api, context, type, vocabulary);
  return {{vectors.data, forward.data, backward.data, scales, type, static_cast<int>(forward.shape[1]),
           static_cast<int>(vector_size)}, vocabulary};
}

}  // namespace
}  // namespace cmow
