// AVX2 and FMA: the 20 x 20 product in tiles of 2 x 4, one tile in one register (a 128-bit lane holds a tile's row).
// Four rows of the product are one block: ten sums, two left factors and one right factor fit the sixteen registers.
#include <immintrin.h>

#include "hybrid_steps.h"

namespace cmow {
namespace {

constexpr int kTiles = 5;      // tiles along a row
constexpr int kTile = 8;       // elements of a tile
constexpr int kTilePairs = 5;  // blocks of four rows, as two rows of tiles

template <TableType type>
CMOW_INLINE __m256 load8(const char* row, int i) {
  if constexpr (type == TableType::kFloat32)
    return _mm256_loadu_ps(reinterpret_cast<const float*>(row) + i);
  else if constexpr (type == TableType::kFloat16)
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row + 2 * i)));
  else
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + i))));
}

struct Avx2 {
  static constexpr int kLargestSide = kSide;

  template <TableType type>
  static CMOW_INLINE void widen(const char* row, float* out, int count) {
#pragma GCC unroll 50
    for (int i = 0; i < count; i += kTile) _mm256_store_ps(out + i, load8<type>(row, i));
  }

  template <TableType type>
  static CMOW_INLINE void add_scaled(const char* row, float scale, float* sums, int count) {
    const __m256 factor = _mm256_set1_ps(scale);
#pragma GCC unroll 50
    for (int i = 0; i < count; i += kTile)
      _mm256_storeu_ps(sums + i, _mm256_fmadd_ps(load8<type>(row, i), factor, _mm256_loadu_ps(sums + i)));
  }

  static CMOW_INLINE void start(float* product, const float* delta, float scale) {
    for (int row = 0; row < kSide; ++row)
      for (int tile = 0; tile < kTiles; ++tile) {
        const __m128 part = _mm_mul_ps(_mm_set1_ps(scale), _mm_loadu_ps(delta + row * kSide + 4 * tile));
        _mm_store_ps(product + (row / 2 * kTiles + tile) * kTile + row % 2 * 4, part);
      }
    for (int i = 0; i < kSide; ++i) product[(i / 2 * kTiles + i / 4) * kTile + i % 2 * 4 + i % 4] += 1.0f;
  }

  static bool in_range(const float* product, int count) { return cmow::in_range(product, count); }

  static CMOW_INLINE void store(const float* product, float* out) {
    for (int row = 0; row < kSide; ++row)
      for (int tile = 0; tile < kTiles; ++tile)
        _mm_storeu_ps(out + row * kSide + 4 * tile, _mm_load_ps(product + (row / 2 * kTiles + tile) * kTile + row % 2 * 4));
  }

  /// Adds column `column` of a block's tiles in tile column k, times row 4 k + column of delta, to the block's ten sums.
  template <int column>
  static CMOW_INLINE void add_outer(__m256 (&sums)[2][kTiles], const float* block, const float* delta, int k) {
    const __m256 upper = _mm256_permute_ps(_mm256_load_ps(block + k * kTile), column * 0x55);
    const __m256 lower = _mm256_permute_ps(_mm256_load_ps(block + (kTiles + k) * kTile), column * 0x55);
#pragma GCC unroll 5
    for (int j = 0; j < kTiles; ++j) {
      const __m256 right = _mm256_broadcast_ps(reinterpret_cast<const __m128*>(delta + (4 * k + column) * kSide + 4 * j));
      sums[0][j] = _mm256_fmadd_ps(upper, right, sums[0][j]);
      sums[1][j] = _mm256_fmadd_ps(lower, right, sums[1][j]);
    }
  }

  /// A row of the new product needs only the same row of the old one, so a block is replaced in place.
  template <TableType type>
  static CMOW_INLINE void step_block(float* block, const float* delta, __m256 factor) {
    __m256 sums[2][kTiles];
#pragma GCC unroll 5
    for (int j = 0; j < kTiles; ++j) sums[0][j] = sums[1][j] = _mm256_setzero_ps();
#pragma GCC unroll 1
    for (int k = 0; k < kTiles; ++k) {
      add_outer<0>(sums, block, delta, k);
      add_outer<1>(sums, block, delta, k);
      add_outer<2>(sums, block, delta, k);
      add_outer<3>(sums, block, delta, k);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i)
#pragma GCC unroll 5
      for (int j = 0; j < kTiles; ++j) {
        float* tile = block + (i * kTiles + j) * kTile;
        const __m256 old = _mm256_load_ps(tile);
        _mm256_store_ps(tile, type == TableType::kInt8 ? _mm256_fmadd_ps(factor, sums[i][j], old)
                                                       : _mm256_add_ps(sums[i][j], old));
      }
  }

  template <TableType type, class SideWork>
  static CMOW_INLINE void step(float* product, const float* delta, float scale, const SideWork& side_work) {
    const __m256 factor = _mm256_set1_ps(scale);
    for (int pair = 0; pair < kTilePairs; ++pair) {
#pragma GCC unroll 5
      for (int i = 0; i < kPieces / kTilePairs; ++i) side_work(i * kTilePairs + pair);
      step_block<type>(product + 2 * pair * kTiles * kTile, delta, factor);
    }
  }
};
static_assert(kPieces % kTilePairs == 0);

void encode(const Tables& tables, const Segment* segments, size_t count, Parts parts) {
  encode_tables(tables, segments, count, parts, Avx2{}, FixedShape{});
}

void join(const Tables&, const float* rows, size_t count, int64_t length, Parts parts, float* row) {
  join_rows(rows, count, length, parts, row, FixedShape{});
}

}  // namespace

const Kernel avx2_kernel = {"avx2", false, encode, join};

}  // namespace cmow
