// AVX2 and FMA. Products are added in pairs in 16 bits, where weights of seven bits leave room for them.
#include <immintrin.h>

#include "pairs_quads.h"

namespace cmow {
namespace {

struct Avx2 {
  using Floats = __m256;
  using Ints = __m256i;
  using Activation = uint8_t;
  using Weight = int8_t;
  static constexpr Packing kPacking = Packing::kQuads;
  static constexpr size_t kLanes = 8, kDepthStep = 4;
  static constexpr int kRows = 5, kVectors = 2;

  static CMOW_INLINE Floats load(const float* from) { return _mm256_loadu_ps(from); }
  static CMOW_INLINE void store(float* to, Floats x) { _mm256_storeu_ps(to, x); }
  static CMOW_INLINE Floats all(float x) { return _mm256_set1_ps(x); }
  static CMOW_INLINE Floats larger(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  static CMOW_INLINE Floats smaller(Floats a, Floats b) { return _mm256_min_ps(a, b); }
  static CMOW_INLINE Floats absolute(Floats x) { return _mm256_andnot_ps(all(-0.0f), x); }
  static CMOW_INLINE Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static CMOW_INLINE float first(Floats x) { return _mm256_cvtss_f32(x); }
  static CMOW_INLINE float most(Floats x) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }
  static CMOW_INLINE float total(Floats x) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
  /// x times two to the power of the integer in the low bits of `power`.
  static CMOW_INLINE Floats times_power_of_2(Floats x, Floats power) {
    const Ints exponent = _mm256_slli_epi32(_mm256_castps_si256(power), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), exponent));
  }
  static CMOW_INLINE Floats load_int8(const int8_t* from) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
  }
  static CMOW_INLINE void store_rounded(uint8_t* to, Floats x) {
    const Ints whole = _mm256_cvtps_epi32(x);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    const __m128i bytes = _mm_xor_si128(_mm_packs_epi16(words, words), _mm_set1_epi8(-128));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), bytes);
  }
  static CMOW_INLINE void store_four_rounded(uint8_t* to, const Floats (&x)[4]) {
    const Ints first = _mm256_packs_epi32(_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1]));
    const Ints second = _mm256_packs_epi32(_mm256_cvtps_epi32(x[2]), _mm256_cvtps_epi32(x[3]));
    // Packing works on 16 bytes at a time: four numbers of each of the four vectors, and the same again.
    const Ints order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const Ints bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(first, second), order);
    _mm256_storeu_si256(reinterpret_cast<Ints*>(to), _mm256_xor_si256(bytes, _mm256_set1_epi8(-128)));
  }

  static CMOW_INLINE Ints load_ints(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
  static CMOW_INLINE Ints all_quads(const uint8_t* from) {
    int quad;
    memcpy(&quad, from, sizeof quad);
    return _mm256_set1_epi32(quad);
  }
  static CMOW_INLINE Ints add_products(Ints sums, Ints quad, Ints weights) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_maddubs_epi16(quad, weights), _mm256_set1_epi16(1)));
  }
  static CMOW_INLINE Floats to_floats(Ints x) { return _mm256_cvtepi32_ps(x); }

  template <int rows, int vectors, class Finish>
  static CMOW_INLINE void product_tile(const uint8_t* left, const int8_t* right, const int32_t* offsets, size_t depth, size_t width,
                                       const Finish& finish) {
    quad_tile<Avx2, rows, vectors>(left, right, offsets, depth, width, finish);
  }
};

}  // namespace

const PairKernel avx2_pair_kernel = pair_kernel<Avx2>("avx2");

}  // namespace cmow
