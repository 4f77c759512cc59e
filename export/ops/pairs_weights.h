// The weights of ai.cmow::EncodePairs, packed as a kernel reads them.
#pragma once

#include <memory>
#include <vector>

#include "pairs_encoder.h"

namespace cmow {

/// What the op is given, row by row; all sizes are valid, all whole numbers within kLargestPairWeight.
struct PlainPairWeights {
  const int8_t* mix;         // [T, w, 3 w]
  const float* mix_scales;   // [T, 3 w]
  const float* mix_bias;     // [T, w]
  const int8_t* key;         // [T, w, q]
  const float* key_scales;   // [T, q]
  const float* key_bias;     // [T, q]
  const int8_t* fuse;        // [T, 4, w, w]
  const float* fuse_scales;  // [T, 4, w]
  const float* fuse_bias;    // [T, w]
  size_t blocks, width, key_size;
};

/// Copies of the weights, so that nothing of `plain` needs to last.
class PairWeights {
 public:
  PairWeights(const PlainPairWeights& plain, Packing packing);

  const std::vector<PairBlock>& blocks() const { return blocks_; }
  size_t width() const { return width_; }
  size_t key_size() const { return key_size_; }

 private:
  /// A matrix [w, columns] whose rows lie `stride` apart.
  struct Matrix {
    const int8_t* at;
    size_t stride, columns;
  };

  Product pack(Matrix matrix, const float* scales);
  void pack_strip(Matrix matrix, size_t first, size_t columns, std::byte* to) const;
  const float* copy(const float* numbers, size_t count);

  Packing packing_;
  size_t width_, key_size_;
  std::vector<PairBlock> blocks_;
  std::vector<std::unique_ptr<std::byte[]>> packed_;
  std::vector<std::unique_ptr<int32_t[]>> offsets_;
  std::vector<std::unique_ptr<float[]>> numbers_;
};

}  // namespace cmow
