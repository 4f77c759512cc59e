// Products of unsigned activations and signed weights, four of them in each lane of an accumulator.
#pragma once

#include "pairs_steps.h"

namespace cmow {
namespace {

/// sums = offsets + left [rows, depth] @ right, packed as Packing::kQuads in strips of `width` columns; then finish(row, column,
/// sums as Floats). The offsets take back that activations are 128 too large.
template <class S, int rows, int vectors, class Finish>
CMOW_INLINE void quad_tile(const uint8_t* left, const int8_t* right, const int32_t* offsets, size_t depth, size_t width,
                           const Finish& finish) {
  typename S::Ints sums[rows][vectors];
#pragma GCC unroll 8
  for (int j = 0; j < vectors; ++j) {
    const auto offset = S::load_ints(offsets + static_cast<size_t>(j) * S::kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) sums[i][j] = offset;
  }
#pragma GCC unroll 1
  for (size_t d = 0; d < depth; d += 4) {
    typename S::Ints weights[vectors];
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) weights[j] = S::load_ints(right + d * width + static_cast<size_t>(j) * 4 * S::kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) {
      const auto quad = S::all_quads(left + static_cast<size_t>(i) * depth + d);
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) sums[i][j] = S::add_products(sums[i][j], quad, weights[j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) finish(i, static_cast<size_t>(j) * S::kLanes, S::to_floats(sums[i][j]));
}

}  // namespace
}  // namespace cmow
