// Soft alignment of two sentences' tokens, without ONNX Runtime: plain structs and the kernels' entry points.
//
// Letters: N packed tokens, Q pairs, q key size, k value size, h size of a comparison. k and h are multiples of kAlignLanes here:
// whoever calls pads values, weight and bias with zeros, which changes no result.
#pragma once

#include <cstddef>

namespace cmow {

constexpr size_t kAlignLanes = 16;

/// The sizes, and the layer that compares a token with what it attends to.
struct Comparison {
  const float* weight;  // [4 k, h], for [own | other | |own - other| | own * other]
  const float* bias;    // [h]
  size_t key_size;      // q
  size_t value_size;    // k
  size_t size;          // h
};

/// Consecutive tokens of one sentence.
struct Tokens {
  const float* keys;    // [count, q]
  const float* values;  // [count, k]
  size_t count;
};

/// One instruction set's implementation. It neither allocates nor throws.
struct AlignKernel {
  const char* isa;

  /// Compares each of the tokens `own` with what it attends to among `other`: pooled[0 .. h) is the sum of these comparisons,
  /// pooled[h .. 2 h) their elementwise maximum; zeros where `own` has no token. An empty `other` counts as a zero vector.
  /// `scratch`: align_scratch_size(comparison) floats.
  void (*align)(const Comparison& comparison, const Tokens& own, const Tokens& other, float* pooled, float* scratch);
};

extern const AlignKernel portable_align_kernel;
#ifdef CMOW_X86_64
extern const AlignKernel avx2_align_kernel;
extern const AlignKernel avx512_align_kernel;
#endif

struct Kernel;

/// The kernel for the instruction set of `kernel`, the encoder's.
const AlignKernel& align_kernel_of(const Kernel& kernel);

constexpr size_t kAlignRows = 64;     // tokens of `own` that attend together
constexpr size_t kAlignColumns = 64;  // tokens of `other` that they attend to at a time
constexpr size_t kMostTileRows = 6;   // rows of a register tile, at most

/// Size of a kernel's scratch memory in floats: other keys transposed, what the own tokens attend to, and for
/// one tile of rows the logits and the features.
constexpr size_t align_scratch_size(const Comparison& c) {
  return kAlignColumns * c.key_size + kAlignRows * c.value_size + kMostTileRows * (kAlignColumns + 4 * c.value_size);
}

}  // namespace cmow
