// The encoder without ONNX Runtime: plain structs and the kernels' entry points.
//
// Dimension letters as everywhere: B sentences, N packed tokens, V vocabulary, d matrix side, e vector size.
// A row is [e | d*d | d*d]: vectors, forward product, backward product (row-major matrices).
#pragma once

#include <cstddef>
#include <cstdint>

namespace cmow {

constexpr int kMaxSide = 64;  // largest d of the portable kernel
constexpr int kSide = 20;     // the d and the e of the SIMD kernels
constexpr int kVector = 400;

enum class TableType : uint8_t { kFloat32, kFloat16, kInt8 };

/// The model's tables. Matrices are stored as their difference to the identity; int8 times its scale is the value.
struct Tables {
  const void* vectors;   // [V, e]
  const void* forward;   // [V, d, d]
  const void* backward;  // [V, d, d]
  const float* scales;   // [V, 3] of int8 tables: vectors, forward, backward; null for the others
  TableType type;
  int side;         // d
  int vector_size;  // e
};

/// Consecutive tokens of one sentence, and the row that takes their result.
struct Segment {
  const int32_t* begin;  // token ids, each in [0, V)
  const int32_t* end;
  float* row;
  bool whole;  // all of its sentence: the row gets mean and unit products, else the sum and products up to a power of two
};

/// Which parts of a row to compute.
enum Parts : unsigned { kForward = 1, kBackward = 2, kBoth = 3 };  // kForward includes the vectors

/// One instruction set's implementation. Neither function allocates or throws.
struct Kernel {
  const char* isa;
  bool any_shape;  // takes every d and e, not only kSide and kVector

  /// Computes the rows of `count` segments, which lie one after the other in memory.
  void (*encode)(const Tables& tables, const Segment* segments, size_t count, Parts parts);

  /// Joins the rows of a sentence's `count` segments, in order, into the sentence's own row; `length` in tokens.
  void (*join)(const Tables& tables, const float* rows, size_t count, int64_t length, Parts parts, float* row);
};

extern const Kernel portable_kernel;
#ifdef CMOW_X86_64
extern const Kernel avx2_kernel;
extern const Kernel avx512_kernel;
#endif

/// The kernel that `name` asks for: null or empty for the best that this machine has.
/// Null result: unknown name, or one that this machine or build does not support.
const Kernel* select_kernel(const char* name);

/// The names `select_kernel` takes on this machine, best first, separated by ", ".
const char* supported_isas();

}  // namespace cmow
