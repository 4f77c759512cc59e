// Scale and shape of running products, shared by all kernels.
//
// Everything in this and the other kernel headers has internal linkage on purpose: each kernel file compiles its own copy
// with its own instruction set, and the linker must never give one file's copy to another. For the same reason they use no
// inline function of the C++ library.
#pragma once

#include <math.h>
#include <string.h>

#include "hybrid_encode.h"

// A kernel's inner functions must become one loop: called, they would pass their registers through memory.
#define CMOW_INLINE inline __attribute__((always_inline))

namespace cmow {
namespace {

/// Sizes known when compiling, so that loops unroll ...
struct FixedShape {
  static constexpr int side = kSide;
  static constexpr int vector = kVector;
};

/// ... and sizes known when running.
struct AnyShape {
  int side;
  int vector;
};

// A product is looked at every kRescaleEvery steps and brought back when its largest element leaves
// [2^-kRange, 2^kRange]. From there four steps of the largest float16 matrices (64 * 65504 < 2^22) stay below 2^122.
constexpr int kRescaleEvery = 4;
constexpr int kRange = 32;
constexpr float kSmallest = 0x1p-32f, kTooLarge = 0x1p33f;  // the same range as numbers: [kSmallest, kTooLarge)

/// Bits of the largest |x|. Among numbers without sign the bits have the numbers' order, and a maximum of integers is one the
/// compiler may vectorise. A NaN is larger than infinity.
inline int32_t largest_bits(const float* x, int count) {
  int32_t largest = 0;
  for (int i = 0; i < count; ++i) {
    int32_t bits;
    memcpy(&bits, x + i, sizeof bits);
    bits &= 0x7fffffff;
    largest = bits > largest ? bits : largest;
  }
  return largest;
}

/// The power of two that brings the number with these bits into [1, 2); 1 where there is none (zero, subnormal, not finite).
inline float power_to_one(int32_t bits) {
  const int32_t exponent = bits >> 23;
  if (exponent == 0 || exponent == 255) return 1.0f;
  const int32_t inverse = (exponent == 254 ? 1 : 254 - exponent) << 23;
  float power;
  memcpy(&power, &inverse, sizeof power);
  return power;
}

inline void scale_by(float* x, int count, float factor) {
  for (int i = 0; i < count; ++i) x[i] *= factor;
}

inline bool in_range(const float* product, int count) {
  const int32_t exponent = (largest_bits(product, count) >> 23) - 127;
  return -kRange <= exponent && exponent <= kRange;
}

/// Brings a product back into range by an exact power of two.
inline void rescale(float* product, int count) {
  if (!in_range(product, count)) scale_by(product, count, power_to_one(largest_bits(product, count)));
}

/// product * sqrt(d) / ||product||; a product of zero stays zero.
inline void make_unit(float* product, int side) {
  const int count = side * side;
  const float power = power_to_one(largest_bits(product, count));
  scale_by(product, count, power);  // squares of any product now stay in range
  float lanes[16] = {};
  int i = 0;
  for (; i + 16 <= count; i += 16)
    for (int lane = 0; lane < 16; ++lane) lanes[lane] += product[i + lane] * product[i + lane];
  for (; i < count; ++i) lanes[0] += product[i] * product[i];
  double squares = 0.0;
  for (const float lane : lanes) squares += static_cast<double>(lane);
  const double norm = sqrt(squares);
  constexpr double kTiny = 0x1p-120;  // sqrt(d) over it is still a float32
  scale_by(product, count, static_cast<float>(sqrt(static_cast<double>(side)) / (norm > kTiny ? norm : kTiny)));
}

inline void set_identity(float* matrix, int side) {
  memset(matrix, 0, sizeof(float) * static_cast<size_t>(side) * static_cast<size_t>(side));
  for (int i = 0; i < side; ++i) matrix[i * side + i] = 1.0f;
}

/// The row of a segment without tokens.
inline void set_empty(float* row, int side, int vector, Parts parts) {
  if (parts & kForward) {
    memset(row, 0, sizeof(float) * static_cast<size_t>(vector));
    set_identity(row + vector, side);
  }
  if (parts & kBackward) set_identity(row + vector + side * side, side);
}

/// left <- left @ right, brought back into range.
template <class Shape>
inline void multiply_into(float* left, const float* right, Shape shape) {
  const int side = shape.side;
  for (int i = 0; i < side; ++i) {
    float sums[kMaxSide] = {};
    for (int k = 0; k < side; ++k)
      for (int j = 0; j < side; ++j) sums[j] += left[i * side + k] * right[k * side + j];
    memcpy(left + i * side, sums, sizeof(float) * static_cast<size_t>(side));
  }
  rescale(left, side * side);
}

/// Kernel::join for one shape.
template <class Shape>
inline void join_rows(const float* rows, size_t count, int64_t length, Parts parts, float* row, Shape shape) {
  const int vector = shape.vector, size = shape.side * shape.side;
  const size_t stride = static_cast<size_t>(vector + 2 * size);
  if (parts & kForward) {
    memcpy(row, rows, sizeof(float) * static_cast<size_t>(vector + size));
    for (size_t r = 1; r < count; ++r) {
      for (int i = 0; i < vector; ++i) row[i] += rows[r * stride + static_cast<size_t>(i)];
      multiply_into(row + vector, rows + r * stride + vector, shape);
    }
    scale_by(row, vector, 1.0f / static_cast<float>(length));
    make_unit(row + vector, shape.side);
  }
  if (parts & kBackward) {
    float* product = row + vector + size;
    const float* factors = rows + vector + size;
    memcpy(product, factors + (count - 1) * stride, sizeof(float) * static_cast<size_t>(size));
    for (size_t r = count - 1; r-- > 0;) multiply_into(product, factors + r * stride, shape);
    make_unit(product, shape.side);
  }
}

}  // namespace
}  // namespace cmow
