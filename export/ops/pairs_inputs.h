// The inputs of ai.cmow::EncodePairs, and the checks that need no number of theirs: types and shapes, on the CPU and a GPU alike.
#pragma once

#include <string>
#include <vector>

#include "ort_op.h"
#include "pairs_encoder.h"

namespace cmow {
namespace {

enum Input : size_t {
  kTokenIds, kCuSeqlens, kPairs, kRows, kScales, kPlaces, kMix, kMixScales, kMixBias, kKey, kKeyScales, kKeyBias, kFuse, kFuseScales,
  kFuseBias, kInputs
};
inline constexpr const char* kInputNames[kInputs] = {
    "token_ids", "cu_seqlens", "pairs",      "rows",     "scales", "places",      "mix",      "mix_scales",
    "mix_bias",  "key",        "key_scales", "key_bias", "fuse",   "fuse_scales", "fuse_bias"};
inline constexpr ort::ElementType kInputTypes[kInputs] = {
    ort::kInt64, ort::kInt64, ort::kInt64, ort::kInt8,  ort::kFloat, ort::kFloat, ort::kInt8, ort::kFloat,
    ort::kFloat, ort::kInt8,  ort::kFloat, ort::kFloat, ort::kInt8,  ort::kFloat, ort::kFloat};

inline void check_type(const Tensor& tensor, Input index) {
  if (tensor.type != kInputTypes[index]) wrong_type(tensor, text(kInputTypes[index]));
}

using Shape = std::vector<int64_t>;

inline void check_shape(const Tensor& tensor, const Shape& expected) {
  if (tensor.shape != expected) wrong_shape(tensor, text(expected));
}

/// What a run brings, each of the right type.
struct TokenInputs {
  Tensor token_ids, cu_seqlens, pairs, rows, scales, places;
};

/// What is the same in every run of a model, each of the right type.
struct WeightInputs {
  Tensor mix, mix_scales, mix_bias, key, key_scales, key_bias, fuse, fuse_scales, fuse_bias;
};

/// The inputs by `read`, a function that finds the tensor of an Input.
template <class Read>
TokenInputs token_inputs(const Read& read) {
  return {read(kTokenIds), read(kCuSeqlens), read(kPairs), read(kRows), read(kScales), read(kPlaces)};
}

template <class Read>
WeightInputs weight_inputs(const Read& read) {
  return {read(kMix),      read(kMixScales), read(kMixBias),    read(kKey),     read(kKeyScales),
          read(kKeyBias),  read(kFuse),      read(kFuseScales), read(kFuseBias)};
}

/// A size that kernels take: lanes of kPairLanes, and sums that stay exact.
inline bool good_size(int64_t size) {
  return size >= 1 && size <= static_cast<int64_t>(kLargestPairSize) && size % static_cast<int64_t>(kPairLanes) == 0;
}

inline std::string range_of(const char* size) {
  return std::string(size) + " a multiple of " + std::to_string(kPairLanes) + " up to " + std::to_string(kLargestPairSize);
}

/// T, w and q.
struct PairSizes {
  int64_t blocks, width, key_size;
};

/// Checks all shapes of the weights.
inline PairSizes check_weight_shapes(const WeightInputs& in) {
  const Shape &mix = in.mix.shape, &key = in.key.shape;
  if (mix.size() != 3 || mix[0] < 1 || !good_size(mix[1]) || mix[2] != 3 * mix[1])
    wrong_shape(in.mix, "[T, w, 3 w] with T at least 1 and " + range_of("w"));
  const int64_t t = mix[0], w = mix[1];
  if (key.size() != 3 || key[0] != t || key[1] != w || !good_size(key[2]))
    wrong_shape(in.key, "[" + std::to_string(t) + ", " + std::to_string(w) + ", q] with " + range_of("q"));
  const int64_t q = key[2];
  check_shape(in.mix_scales, {t, 3 * w});
  check_shape(in.mix_bias, {t, w});
  check_shape(in.key_scales, {t, q});
  check_shape(in.key_bias, {t, q});
  check_shape(in.fuse, {t, 4, w, w});
  check_shape(in.fuse_scales, {t, 4, w});
  check_shape(in.fuse_bias, {t, w});
  return {t, w, q};
}

/// Checks all shapes of what a run brings to weights of width w.
inline void check_token_shapes(const TokenInputs& in, int64_t w) {
  const std::string width = ", " + std::to_string(w) + "]";
  if (in.token_ids.shape.size() != 1) wrong_shape(in.token_ids, "[N]");
  check_offset_shape(in.cu_seqlens);
  if (in.pairs.shape.size() != 2 || in.pairs.shape[1] != 2) wrong_shape(in.pairs, "[P, 2]");
  if (in.rows.shape.size() != 2 || in.rows.shape[1] != w) wrong_shape(in.rows, "[V" + width + " like mix");
  check_shape(in.scales, {in.rows.shape[0]});
  if (in.places.shape.size() != 2 || in.places.shape[0] < 1 || in.places.shape[1] != w)
    wrong_shape(in.places, "[S" + width + " with S at least 1");
}

}  // namespace
}  // namespace cmow
