// AVX-512: the 20 x 20 product as 5 x 5 tiles of 4 x 4, one tile in one register (a 128-bit lane holds a tile's row).
#include <immintrin.h>

#include "hybrid_steps.h"

namespace cmow {
namespace {

constexpr int kTiles = 5;  // tiles along a side
constexpr int kTile = 16;  // elements of a tile

template <TableType type>
CMOW_INLINE __m512 load16(const char* row, int i) {
  if constexpr (type == TableType::kFloat32)
    return _mm512_loadu_ps(row + 4 * i);
  else if constexpr (type == TableType::kFloat16)
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + 2 * i)));
  else
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row + i))));
}

struct Avx512 {
  static constexpr int kLargestSide = kSide;

  template <TableType type>
  static CMOW_INLINE void widen(const char* row, float* out, int count) {
#pragma GCC unroll 25
    for (int i = 0; i < count; i += kTile) _mm512_store_ps(out + i, load16<type>(row, i));
  }

  template <TableType type>
  static CMOW_INLINE void add_scaled(const char* row, float scale, float* sums, int count) {
    const __m512 factor = _mm512_set1_ps(scale);
#pragma GCC unroll 25
    for (int i = 0; i < count; i += kTile)
      _mm512_storeu_ps(sums + i, _mm512_fmadd_ps(load16<type>(row, i), factor, _mm512_loadu_ps(sums + i)));
  }

  static CMOW_INLINE void start(float* product, const float* delta, float scale) {
    for (int row = 0; row < kSide; ++row)
      for (int tile = 0; tile < kTiles; ++tile) {
        const __m128 part = _mm_mul_ps(_mm_set1_ps(scale), _mm_loadu_ps(delta + row * kSide + 4 * tile));
        _mm_store_ps(product + (row / 4 * kTiles + tile) * kTile + row % 4 * 4, part);
      }
    for (int i = 0; i < kSide; ++i) product[(i / 4 * kTiles + i / 4) * kTile + i % 4 * 5] += 1.0f;
  }

  /// A NaN loses against numbers here: `rescale` still decides, this only says when to ask it.
  static CMOW_INLINE bool in_range(const float* product, int) {
    constexpr int kLargestMagnitude = 0b1011;
    __m512 largest[kTiles];
#pragma GCC unroll 5
    for (int i = 0; i < kTiles; ++i) largest[i] = _mm512_setzero_ps();
#pragma GCC unroll 25
    for (int i = 0; i < kTiles * kTiles; ++i)
      largest[i % kTiles] = _mm512_range_ps(largest[i % kTiles], _mm512_load_ps(product + i * kTile), kLargestMagnitude);
#pragma GCC unroll 4
    for (int i = 1; i < kTiles; ++i) largest[0] = _mm512_range_ps(largest[0], largest[i], kLargestMagnitude);
    return _mm512_cmp_ps_mask(largest[0], _mm512_set1_ps(kSmallest), _CMP_GE_OQ) != 0 &&
           _mm512_cmp_ps_mask(largest[0], _mm512_set1_ps(kTooLarge), _CMP_GE_OQ) == 0;
  }

  static CMOW_INLINE void store(const float* product, float* out) {
    for (int row = 0; row < kSide; ++row)
      for (int tile = 0; tile < kTiles; ++tile)
        _mm_storeu_ps(out + row * kSide + 4 * tile, _mm_load_ps(product + (row / 4 * kTiles + tile) * kTile + row % 4 * 4));
  }

  /// Adds column `column` of the product's tiles in tile column k, times row 4 k + column of delta, to all 25 sums.
  template <int column>
  static CMOW_INLINE void add_outer(__m512 (&sums)[kTiles][kTiles], const float* product, const float* delta, int k) {
    // Without the barrier the compiler keeps the tiles from one column to the next, and has no registers left for the sums.
    asm volatile("" ::: "memory");
    __m512 left[kTiles];
#pragma GCC unroll 5
    for (int i = 0; i < kTiles; ++i)
      left[i] = _mm512_permute_ps(_mm512_load_ps(product + (i * kTiles + k) * kTile), column * 0x55);
#pragma GCC unroll 5
    for (int j = 0; j < kTiles; ++j) {
      const __m512 right = _mm512_broadcast_f32x4(_mm_loadu_ps(delta + (4 * k + column) * kSide + 4 * j));
#pragma GCC unroll 5
      for (int i = 0; i < kTiles; ++i) sums[i][j] = _mm512_fmadd_ps(left[i], right, sums[i][j]);
    }
  }

  template <TableType type, class SideWork>
  static CMOW_INLINE void step(float* product, const float* delta, float scale, const SideWork& side_work) {
    __m512 sums[kTiles][kTiles];
#pragma GCC unroll 5
    for (int i = 0; i < kTiles; ++i)
#pragma GCC unroll 5
      for (int j = 0; j < kTiles; ++j) sums[i][j] = _mm512_setzero_ps();
#pragma GCC unroll 1
    for (int k = 0; k < kTiles; ++k) {
      side_work(k);
      add_outer<0>(sums, product, delta, k);
      side_work(kTiles + k);
      add_outer<1>(sums, product, delta, k);
      side_work(2 * kTiles + k);
      add_outer<2>(sums, product, delta, k);
      side_work(3 * kTiles + k);
      add_outer<3>(sums, product, delta, k);
      side_work(4 * kTiles + k);
    }
    const __m512 factor = _mm512_set1_ps(scale);
#pragma GCC unroll 5
    for (int i = 0; i < kTiles; ++i)
#pragma GCC unroll 5
      for (int j = 0; j < kTiles; ++j) {
        float* tile = product + (i * kTiles + j) * kTile;
        const __m512 old = _mm512_load_ps(tile);
        _mm512_store_ps(tile, type == TableType::kInt8 ? _mm512_fmadd_ps(factor, sums[i][j], old)
                                                       : _mm512_add_ps(sums[i][j], old));
      }
  }
};

static_assert(kTiles * kTiles == kPieces);

void encode(const Tables& tables, const Segment* segments, size_t count, Parts parts) {
  encode_tables(tables, segments, count, parts, Avx512{}, FixedShape{});
}

void join(const Tables&, const float* rows, size_t count, int64_t length, Parts parts, float* row) {
  join_rows(rows, count, length, parts, row, FixedShape{});
}

}  // namespace

const Kernel avx512_kernel = {"avx512", false, encode, join};

}  // namespace cmow
