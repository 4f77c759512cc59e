// AVX-512 with VNNI. Twenty-four sums, four weights and one activation fit the thirty-two registers.
#include <immintrin.h>

#include "pairs_quads.h"

namespace cmow {
namespace {

struct Avx512 {
  using Floats = __m512;
  using Ints = __m512i;
  using Activation = uint8_t;
  using Weight = int8_t;
  static constexpr Packing kPacking = Packing::kQuads;
  static constexpr size_t kLanes = 16, kDepthStep = 4;
  static constexpr int kRows = 6, kVectors = 4;

  static CMOW_INLINE Floats load(const float* from) { return _mm512_loadu_ps(from); }
  static CMOW_INLINE void store(float* to, Floats x) { _mm512_storeu_ps(to, x); }
  static CMOW_INLINE Floats all(float x) { return _mm512_set1_ps(x); }
  static CMOW_INLINE Floats larger(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static CMOW_INLINE Floats smaller(Floats a, Floats b) { return _mm512_min_ps(a, b); }
  static CMOW_INLINE Floats absolute(Floats x) { return _mm512_abs_ps(x); }
  static CMOW_INLINE Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static CMOW_INLINE float first(Floats x) { return _mm512_cvtss_f32(x); }
  static CMOW_INLINE float most(Floats x) { return _mm512_reduce_max_ps(x); }
  static CMOW_INLINE float total(Floats x) { return _mm512_reduce_add_ps(x); }
  /// x times two to the power of the integer in the low bits of `power`.
  static CMOW_INLINE Floats times_power_of_2(Floats x, Floats power) {
    const Ints exponent = _mm512_slli_epi32(_mm512_castps_si512(power), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x), exponent));
  }
  static CMOW_INLINE Floats load_int8(const int8_t* from) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
  }
  static CMOW_INLINE void store_rounded(uint8_t* to, Floats x) {
    const __m128i rounded = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(x));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_xor_si128(rounded, _mm_set1_epi8(-128)));
  }
  static CMOW_INLINE void store_four_rounded(uint8_t* to, const Floats (&x)[4]) {
    const Ints first = _mm512_packs_epi32(_mm512_cvtps_epi32(x[0]), _mm512_cvtps_epi32(x[1]));
    const Ints second = _mm512_packs_epi32(_mm512_cvtps_epi32(x[2]), _mm512_cvtps_epi32(x[3]));
    // Packing works on 16 bytes at a time: four numbers of each of the four vectors, and so on.
    const Ints order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const Ints bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(first, second));
    _mm512_storeu_si512(to, _mm512_xor_si512(bytes, _mm512_set1_epi8(-128)));
  }

  static CMOW_INLINE Ints load_ints(const void* from) { return _mm512_loadu_si512(from); }
  static CMOW_INLINE Ints all_quads(const uint8_t* from) {
    int quad;
    memcpy(&quad, from, sizeof quad);
    return _mm512_set1_epi32(quad);
  }
  /// As an instruction of its own, since GCC 12 copies every sum of a tile through memory around the intrinsic.
  static CMOW_INLINE Ints add_products(Ints sums, Ints quad, Ints weights) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(quad), "v"(weights));
    return sums;
  }
  static CMOW_INLINE Floats to_floats(Ints x) { return _mm512_cvtepi32_ps(x); }

  template <int rows, int vectors, class Finish>
  static CMOW_INLINE void product_tile(const uint8_t* left, const int8_t* right, const int32_t* offsets, size_t depth, size_t width,
                                       const Finish& finish) {
    quad_tile<Avx512, rows, vectors>(left, right, offsets, depth, width, finish);
  }
};

}  // namespace

const PairKernel avx512_pair_kernel = pair_kernel<Avx512>("avx512");

}  // namespace cmow
