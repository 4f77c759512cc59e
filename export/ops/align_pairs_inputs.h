// The inputs of ai.cmow::AlignPairs, and the checks that need no number of theirs: types and shapes, on the CPU and a GPU alike.
#pragma once

#include <string>
#include <vector>

#include "align_pairs.h"
#include "ort_op.h"

namespace cmow {
namespace {

enum Input : size_t { kKeys, kValues, kCuSeqlens, kPairs, kWeight, kBias, kInputs };
inline constexpr const char* kInputNames[kInputs] = {"keys", "values", "cu_seqlens", "pairs", "weight", "bias"};
constexpr int64_t kLargestSize = 65536;  // of q, k and h

inline Tensor read_input(const ort::Api& api, const ort::KernelContext* context, Input index, ort::ElementType type) {
  const Tensor tensor = cmow::read_input(api, context, index, kInputNames[index]);
  if (tensor.type != type) wrong_type(tensor, text(type));
  return tensor;
}

/// The size of the last dimension of a matrix [rows, size].
inline size_t row_size(const Tensor& tensor, const std::string& shape, const char* size) {
  const std::string range = std::string(size) + " from 1 to " + std::to_string(kLargestSize);
  if (tensor.shape.size() != 2 || tensor.shape[1] < 1 || tensor.shape[1] > kLargestSize)
    wrong_shape(tensor, shape + " with " + range);
  return static_cast<size_t>(tensor.shape[1]);
}

/// The six inputs, each of the right type.
struct Inputs {
  Tensor keys, values, cu_seqlens, pairs, weight, bias;

  Inputs(const ort::Api& api, const ort::KernelContext* context)
      : keys(read_input(api, context, kKeys, ort::kFloat)), values(read_input(api, context, kValues, ort::kFloat)),
        cu_seqlens(read_input(api, context, kCuSeqlens, ort::kInt64)), pairs(read_input(api, context, kPairs, ort::kInt64)),
        weight(read_input(api, context, kWeight, ort::kFloat)), bias(read_input(api, context, kBias, ort::kFloat)) {}
};

/// Checks all shapes, and returns the sizes, not yet padded.
inline Comparison check_shapes(const Inputs& in) {
  const size_t q = row_size(in.keys, "[N, q]", "q"), k = row_size(in.values, "[N, k]", "k"), h = row_size(in.weight, "[4 k, h]", "h");
  if (in.values.shape[0] != in.keys.shape[0])
    wrong_shape(in.values, text({in.keys.shape[0], in.values.shape[1]}) + " with a row for each of keys");
  if (in.weight.shape[0] != static_cast<int64_t>(4 * k))
    wrong_shape(in.weight, text({static_cast<int64_t>(4 * k), in.weight.shape[1]}) + " with 4 k rows");
  if (in.bias.shape != std::vector<int64_t>{in.weight.shape[1]}) wrong_shape(in.bias, text({in.weight.shape[1]}));
  check_offset_shape(in.cu_seqlens);
  if (in.pairs.shape.size() != 2 || in.pairs.shape[1] != 2) wrong_shape(in.pairs, "[Q, 2]");
  return {in.weight.as<float>(), in.bias.as<float>(), q, k, h};
}

}  // namespace
}  // namespace cmow
