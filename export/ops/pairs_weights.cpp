#include "pairs_weights.h"

#include <algorithm>

namespace cmow {
namespace {

constexpr size_t kCacheLine = 64;

std::byte* aligned(std::byte* from) {
  const auto address = reinterpret_cast<uintptr_t>(from);
  return from + (kCacheLine - address % kCacheLine) % kCacheLine;
}

}  // namespace

PairWeights::PairWeights(const PlainPairWeights& plain, Packing packing)
    : packing_(packing), width_(plain.width), key_size_(plain.key_size) {
  const size_t w = width_, q = key_size_;
  blocks_.resize(plain.blocks);
  for (size_t b = 0; b < plain.blocks; ++b) {
    PairBlock& block = blocks_[b];
    for (size_t i = 0; i < 3; ++i)
      block.mix[i] = pack({plain.mix + b * 3 * w * w + i * w, 3 * w, w}, plain.mix_scales + (b * 3 + i) * w);
    block.key = pack({plain.key + b * w * q, q, q}, plain.key_scales + b * q);
    for (size_t i = 0; i < 4; ++i)
      block.fuse[i] = pack({plain.fuse + (b * 4 + i) * w * w, w, w}, plain.fuse_scales + (b * 4 + i) * w);
    block.mix_bias = copy(plain.mix_bias + b * w, w);
    block.key_bias = copy(plain.key_bias + b * q, q);
    block.fuse_bias = copy(plain.fuse_bias + b * w, w);
  }
}

Product PairWeights::pack(Matrix matrix, const float* scales) {
  const size_t element = packing_ == Packing::kQuads ? 1 : sizeof(float);
  packed_.emplace_back(new std::byte[width_ * matrix.columns * element + kCacheLine]);
  std::byte* const weight = aligned(packed_.back().get());
  for (size_t first = 0; first < matrix.columns; first += kStrip)
    pack_strip(matrix, first, std::min(kStrip, matrix.columns - first), weight + first * width_ * element);
  offsets_.emplace_back(new int32_t[matrix.columns]());
  int32_t* const offsets = offsets_.back().get();
  for (size_t d = 0; d < width_; ++d)
    for (size_t c = 0; c < matrix.columns; ++c) offsets[c] -= 128 * matrix.at[d * matrix.stride + c];
  return {weight, offsets, copy(scales, matrix.columns)};
}

void PairWeights::pack_strip(Matrix matrix, size_t first, size_t columns, std::byte* to) const {
  auto* const quads = reinterpret_cast<int8_t*>(to);
  auto* const floats = reinterpret_cast<float*>(to);
  for (size_t d = 0; d < width_; ++d)
    for (size_t c = 0; c < columns; ++c) {
      const int8_t weight = matrix.at[d * matrix.stride + first + c];
      if (packing_ == Packing::kQuads) quads[(d / 4 * columns + c) * 4 + d % 4] = weight;
      else floats[d * columns + c] = static_cast<float>(weight);
    }
}

const float* PairWeights::copy(const float* numbers, size_t count) {
  numbers_.emplace_back(new float[count]);
  std::copy_n(numbers, count, numbers_.back().get());
  return numbers_.back().get();
}

}  // namespace cmow
