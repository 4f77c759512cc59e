// Two sentences read beside each other, without ONNX Runtime: plain structs and the kernels' entry points.
//
// Letters: n and m tokens of a pair's sentences, V vocabulary, w width, q key size, S places, T blocks. w and q are multiples of
// kPairLanes. A pair's rows are the first sentence's tokens, one row that is no token, and the second sentence's tokens: so a
// convolution may run over all of them at once, and both sentences share the tiles of every product.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cmow {

constexpr size_t kPairLanes = 16;
constexpr size_t kLargestPairSize = 2048;  // of w and q: sums of 2048 products of 127 and 63 are exact in float32 too
constexpr int kLargestPairWeight = 63;     // twice 255 * 63 fits the 16 bits in which processors without VNNI add pairs of products
constexpr size_t kStrip = 64;              // columns of a weight, or tokens of a sentence, that are packed together

/// How weights are packed, each strip of kStrip columns (the last one of what is left) by itself.
enum class Packing {
  kQuads,   // int8 [depth / 4, columns, 4]
  kFloats,  // float [depth, columns]
};

/// The right side of an integer product, packed.
struct Product {
  const void* weight;
  const int32_t* offsets;  // [columns], -128 times the sum of each: unsigned activations are 128 too large
  const float* scales;     // [columns]
};

struct PairBlock {
  Product mix[3];   // [w, w] each: of the token before, here, after
  Product key;      // [w, q]
  Product fuse[4];  // [w, w] each: of own, found, |own - found|, own * found
  const float *mix_bias, *key_bias, *fuse_bias;
};

struct PairModel {
  const int8_t* rows;   // [V, w]
  const float* scales;  // [V]
  const float* places;  // [S, w]
  size_t place_count;
  const PairBlock* blocks;
  size_t block_count;
  size_t width, key_size;
};

/// One pair on its way through the blocks, in memory as `pair_state` lays it out.
struct PairState {
  const int64_t* token_ids[2];
  size_t counts[2];        // n, m
  float* features[2];      // [n + m + 1, w]: what a block works on, and where it writes
  void* rounded[2];        // [n + m + 3, w] activations of the first features, before and after the convolution; a row of zeros around
  float* row_scales[2];    // [n + m + 3] of them
  float* keys;             // [n + m + 1, q]
  float* key_strips[2];    // of each sentence [strips, q, kStrip]: transposed

  size_t rows() const { return counts[0] + counts[1] + 1; }
};

/// One instruction set's implementation. It neither allocates nor throws. Rows are given as `first` to before `last`; `scratch`:
/// scratch_size(model) floats, the caller's own.
struct PairKernel {
  const char* isa;
  Packing packing;
  size_t activation_size;  // bytes
  size_t scratch_size(const PairModel& model) const;

  /// First features of the rows, and their activations.
  void (*read)(const PairModel& model, const PairState& state, size_t first, size_t last, float* scratch);
  /// The rows after the convolution, and their keys. Needs what `read` or `fuse` gave for one row more on both sides.
  void (*mix)(const PairModel& model, const PairBlock& block, const PairState& state, size_t first, size_t last, float* scratch);
  /// The rows after attention and fusion. Needs what `mix` gave for all rows.
  void (*fuse)(const PairModel& model, const PairBlock& block, const PairState& state, size_t first, size_t last, float* scratch);
  /// [2 w]: mean and maximum over the tokens of one side's final features[0].
  void (*pool)(const PairModel& model, const PairState& state, size_t side, float* out, float* scratch);
};

extern const PairKernel portable_pair_kernel;
#ifdef CMOW_X86_64
extern const PairKernel avx2_pair_kernel;
extern const PairKernel avx512_pair_kernel;  // needs VNNI
#endif

struct Kernel;

/// The kernel for the instruction set of `kernel`, the encoder's, as far as this machine has it.
const PairKernel& pair_kernel_of(const Kernel& kernel);

constexpr size_t kChunk = 48;          // rows that go through a step together
constexpr size_t kMostProductRows = 6;  // rows of a register tile, at most

constexpr size_t strips_of(size_t count) { return (count + kStrip - 1) / kStrip; }

/// Size of a kernel's scratch memory in floats: sums of products, what the own tokens find, three features of it rounded
/// with their scales, and a tile of logits.
inline size_t PairKernel::scratch_size(const PairModel& model) const {
  const size_t rounded = 3 * kChunk * model.width * activation_size / sizeof(float);
  return kChunk * kStrip + kChunk * model.width + 3 * kChunk + kMostProductRows * kStrip + rounded;
}

}  // namespace cmow
