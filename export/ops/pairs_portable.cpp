// Sixteen bytes, which SSE2 and NEON have, in tiles that fit sixteen registers. Whole numbers are kept as float32, in which all
// their sums are exact.
#include "pairs_steps.h"

namespace cmow {
namespace {

struct Portable {
  typedef float Floats __attribute__((vector_size(16)));
  typedef int Bits __attribute__((vector_size(16)));
  using Activation = float;
  using Weight = float;
  static constexpr Packing kPacking = Packing::kFloats;
  static constexpr size_t kLanes = 4, kDepthStep = 1;
  static constexpr int kRows = 6, kVectors = 2;

  static CMOW_INLINE Floats load(const float* from) {
    Floats x;
    memcpy(&x, from, sizeof x);
    return x;
  }
  static CMOW_INLINE void store(float* to, Floats x) { memcpy(to, &x, sizeof x); }
  static CMOW_INLINE Floats all(float x) { return Floats{x, x, x, x}; }
  static CMOW_INLINE Floats larger(Floats a, Floats b) { return a > b ? a : b; }
  static CMOW_INLINE Floats smaller(Floats a, Floats b) { return a < b ? a : b; }
  static CMOW_INLINE Floats absolute(Floats x) { return reinterpret_cast<Floats>(reinterpret_cast<Bits>(x) & 0x7fffffff); }
  static CMOW_INLINE Floats multiply_add(Floats a, Floats b, Floats c) { return a * b + c; }
  static CMOW_INLINE float first(Floats x) { return x[0]; }
  static CMOW_INLINE float most(Floats x) {
    float most = x[0];
    for (size_t i = 1; i < kLanes; ++i) most = x[i] > most ? x[i] : most;
    return most;
  }
  static CMOW_INLINE float total(Floats x) { return (x[0] + x[1]) + (x[2] + x[3]); }
  /// x times two to the power of the integer in the low bits of `power`.
  static CMOW_INLINE Floats times_power_of_2(Floats x, Floats power) {
    return reinterpret_cast<Floats>(reinterpret_cast<Bits>(x) + (reinterpret_cast<Bits>(power) << 23));
  }
  static CMOW_INLINE Floats load_int8(const int8_t* from) {
    return Floats{static_cast<float>(from[0]), static_cast<float>(from[1]), static_cast<float>(from[2]), static_cast<float>(from[3])};
  }
  static CMOW_INLINE void store_rounded(float* to, Floats x) {
    const Floats round = all(0x1.8p23f);  // adding it leaves no bits for a fraction
    store(to, (x + round) - round);
  }
  static CMOW_INLINE void store_four_rounded(float* to, const Floats (&x)[4]) {
    for (size_t i = 0; i < 4; ++i) store_rounded(to + i * kLanes, x[i]);
  }

  template <int rows, int vectors, class Finish>
  static CMOW_INLINE void product_tile(const float* left, const float* right, const int32_t*, size_t depth, size_t width,
                                       const Finish& finish) {
    multiply_tile<Portable, rows, vectors>({left, depth}, {right, width}, depth, finish);
  }
};

}  // namespace

const PairKernel portable_pair_kernel = pair_kernel<Portable>("portable");

}  // namespace cmow
