// Attend, compare and pool, for vectors of any width: Parikh et al., "A Decomposable Attention Model for Natural Language
// Inference" (EMNLP 2016), with both softmax directions computed as rows.
//
// Three products do nearly all the work: logits = keys @ keys^T, attended = softmax(logits) @ values, and
// features @ weight. One register tile computes them all; they differ in what happens to a finished tile.
//
// A row's numbers depend on its own token and on `other` alone: every sum runs in one order, however rows are grouped in tiles.
// Internal linkage on purpose, as in hybrid_product.h: each kernel file compiles its own copy with its own instruction set.
#pragma once

#include <float.h>
#include <string.h>

#include "align_pairs.h"

#define CMOW_INLINE inline __attribute__((always_inline))

namespace cmow {
namespace {

/// Vectors of `bytes` bytes as the compiler's own types: operators work elementwise.
/// `rows` and `vectors` size the register tile: rows * vectors sums, and the factors of one step, must fit the registers.
template <int bytes, int rows, int vectors>
struct Simd {
  typedef float Floats __attribute__((vector_size(bytes)));
  typedef unsigned Bits __attribute__((vector_size(bytes)));
  static constexpr size_t kLanes = bytes / sizeof(float);
  static constexpr int kRows = rows;
  static constexpr int kVectors = vectors;
  static_assert(kAlignLanes % kLanes == 0 && rows <= static_cast<int>(kMostTileRows));

  static CMOW_INLINE Floats load(const float* from) {
    Floats x;
    memcpy(&x, from, sizeof x);
    return x;
  }
  static CMOW_INLINE void store(float* to, Floats x) { memcpy(to, &x, sizeof x); }
  static CMOW_INLINE Floats all(float x) { return x - Floats{}; }
  static CMOW_INLINE Floats larger(Floats a, Floats b) { return a > b ? a : b; }

  /// exp(x) for x <= 0, relative error below 2e-7; below -87, where it leaves the normal numbers, exp(-87).
  static CMOW_INLINE Floats exp(Floats x) {
    constexpr float kRound = 0x1.8p23f;                               // adding it rounds to an integer, in the low bits
    constexpr float kLn2High = 0x1.62e4p-1f, kLn2Low = 0x1.7f7d1cp-20f;  // the high part times an exponent is exact
    x = larger(x, all(-87.0f));
    const Floats shifted = x * 0x1.715476p0f + kRound, exponent = shifted - kRound;
    const Floats r = x - exponent * kLn2High - exponent * kLn2Low;  // |r| <= ln(2) / 2
    Floats series = all(1.0f / 720);
    series = series * r + 1.0f / 120;
    series = series * r + 1.0f / 24;
    series = series * r + 1.0f / 6;
    series = series * r + 0.5f;
    series = series * r + 1.0f;
    series = series * r + 1.0f;
    Bits bits, power;
    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&power, &series, sizeof power);
    power += bits << 23;  // series is in [0.7, 1.5], so its exponent has room
    memcpy(&series, &power, sizeof series);
    return series;
  }
};

/// Rows of a matrix: element (i, j) is at[i * stride + j].
struct Rows {
  const float* at;
  size_t stride;
};

/// sums = left [rows, depth] @ right [depth, vectors * lanes], then finish(sums).
template <class S, int rows, int vectors, class Finish>
CMOW_INLINE void multiply_tile(Rows left, Rows right, size_t depth, const Finish& finish) {
  typename S::Floats sums[rows][vectors];
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) sums[i][j] = typename S::Floats{};
#pragma GCC unroll 1
  for (size_t d = 0; d < depth; ++d) {
    typename S::Floats factors[vectors];
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) factors[j] = S::load(right.at + d * right.stride + static_cast<size_t>(j) * S::kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) {
      const typename S::Floats factor = S::all(left.at[static_cast<size_t>(i) * left.stride + d]);
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) sums[i][j] += factor * factors[j];
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < vectors; ++j)
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) finish(i, static_cast<size_t>(j) * S::kLanes, sums[i][j]);
}

/// multiply_tile for a number of rows and vectors known only when running.
template <class S, int rows, int vectors, class Finish>
inline void multiply_some(int row_count, size_t vector_count, Rows left, Rows right, size_t depth, const Finish& finish) {
  if constexpr (rows > 1)
    if (row_count < rows)
      return multiply_some<S, rows - 1, vectors>(row_count, vector_count, left, right, depth, finish);
  if constexpr (vectors > 1)
    if (vector_count < vectors)
      return multiply_some<S, rows, vectors - 1>(row_count, vector_count, left, right, depth, finish);
  multiply_tile<S, rows, vectors>(left, right, depth, finish);
}

/// left [rows, depth] @ right [depth, columns]: calls finish(row, column, lanes of the product) once for all of it, and
/// a column's rows in order. `columns` is a multiple of the lanes.
template <class S, class Finish>
inline void multiply(int rows, Rows left, Rows right, size_t depth, size_t columns, const Finish& finish) {
  constexpr size_t kStrip = S::kVectors * S::kLanes;
  for (size_t column = 0; column < columns; column += kStrip) {
    const auto shifted = [&finish, column](int i, size_t j, typename S::Floats sum) __attribute__((always_inline)) {
      finish(i, column + j, sum);
    };
    multiply_some<S, S::kRows, S::kVectors>(rows, (columns - column) / S::kLanes, left, {right.at + column, right.stride}, depth,
                                            shifted);
  }
}

/// The first `count` rows in tiles of nearly equal size: calls tile(first row, rows).
template <class S, class Tile>
inline void in_tiles(size_t count, const Tile& tile) {
  size_t tiles = (count + S::kRows - 1) / S::kRows;
  for (size_t first = 0; first < count; --tiles) {
    const size_t rows = (count - first + tiles - 1) / tiles;
    tile(first, static_cast<int>(rows));
    first += rows;
  }
}

constexpr size_t round_up(size_t size) { return (size + kAlignLanes - 1) / kAlignLanes * kAlignLanes; }

/// A row's softmax so far: exp(logit - largest) has been summed up.
struct Softmax {
  float largest;
  float sum;
};

/// One block of tokens, alone in memory that the kernel may use.
template <class S>
class Aligner {
 public:
  Aligner(const Comparison& comparison, float* scratch)
      : comparison_(comparison), k_(comparison.value_size), other_keys_(scratch),
        attended_(other_keys_ + kAlignColumns * comparison.key_size), logits_(attended_ + kAlignRows * k_),
        features_(logits_ + kMostTileRows * kAlignColumns) {}

  void align(const Tokens& own, const Tokens& other, float* pooled) {
    memset(pooled, 0, 2 * comparison_.size * sizeof(float));
    for (size_t first = 0; first < own.count; first += kAlignRows) {
      const Tokens block = part(own, first, kAlignRows);
      attend(block, other);
      in_tiles<S>(block.count, [&](size_t row, int rows) { compare(part(block, row, static_cast<size_t>(rows)), row, pooled); });
    }
  }

 private:
  using Floats = typename S::Floats;

  Tokens part(const Tokens& tokens, size_t first, size_t most) const {
    const size_t left = tokens.count - first;
    return {tokens.keys + first * comparison_.key_size, tokens.values + first * k_, left < most ? left : most};
  }

  /// attended_ [own.count, k]: sums of the other values weighted by exp(logit - largest logit), and sums_ of these weights.
  void attend(const Tokens& own, const Tokens& other) {
    memset(attended_, 0, own.count * k_ * sizeof(float));
    for (size_t i = 0; i < own.count; ++i) softmax_[i] = {-FLT_MAX, 0.0f};
    for (size_t first = 0; first < other.count; first += kAlignColumns) {
      const Tokens block = part(other, first, kAlignColumns);
      transpose_keys(block);
      in_tiles<S>(own.count, [&](size_t row, int rows) { attend_tile(own, row, rows, block); });
    }
  }

  /// other_keys_ [q, kAlignColumns] of the block's keys [count, q], with zeros up to a whole number of lanes.
  void transpose_keys(const Tokens& block) {
    const size_t q = comparison_.key_size, columns = round_up(block.count);
    for (size_t j = 0; j < block.count; ++j)
      for (size_t d = 0; d < q; ++d) other_keys_[d * kAlignColumns + j] = block.keys[j * q + d];
    for (size_t d = 0; d < q; ++d)
      for (size_t j = block.count; j < columns; ++j) other_keys_[d * kAlignColumns + j] = 0.0f;
  }

  void attend_tile(const Tokens& own, size_t row, int rows, const Tokens& block) {
    const size_t q = comparison_.key_size, columns = round_up(block.count);
    multiply<S>(rows, {own.keys + row * q, q}, {other_keys_, kAlignColumns}, q, columns,
                [this](int i, size_t j, Floats sum) __attribute__((always_inline)) {
                  S::store(logits_ + static_cast<size_t>(i) * kAlignColumns + j, sum);
                });
    float rescale[S::kRows];
    for (int i = 0; i < rows; ++i)
      rescale[i] = to_weights(logits_ + static_cast<size_t>(i) * kAlignColumns, block.count, softmax_[row + static_cast<size_t>(i)]);
    float* const attended = attended_ + row * k_;
    multiply<S>(rows, {logits_, kAlignColumns}, {block.values, k_}, block.count, k_,
                [this, attended, &rescale](int i, size_t j, Floats sum) __attribute__((always_inline)) {
                  float* to = attended + static_cast<size_t>(i) * k_ + j;
                  S::store(to, S::load(to) * S::all(rescale[i]) + sum);
                });
  }

  /// Replaces a row's logits by exp(logit - largest), and adds them to its softmax. Returns the factor that brings what was
  /// summed before to the new largest logit.
  static float to_weights(float* logits, size_t count, Softmax& softmax) {
    const size_t columns = round_up(count);
    for (size_t j = count; j < columns; ++j) logits[j] = -FLT_MAX;
    Floats lanes = S::all(softmax.largest);
    for (size_t j = 0; j < columns; j += S::kLanes) lanes = S::larger(lanes, S::load(logits + j));
    float largest = lanes[0];
    for (size_t lane = 1; lane < S::kLanes; ++lane) largest = lanes[lane] > largest ? lanes[lane] : largest;
    Floats sums = {};
    for (size_t j = 0; j < columns; j += S::kLanes) {
      const Floats weights = S::exp(S::load(logits + j) - S::all(largest));
      S::store(logits + j, weights);
      sums += weights;
    }
    float sum = 0.0f;
    for (size_t lane = 0; lane < S::kLanes; ++lane) sum += sums[lane];
    const float rescale = S::exp(S::all(softmax.largest - largest))[0];
    softmax = {largest, softmax.sum * rescale + sum};
    return rescale;
  }

  /// Adds the comparisons of some tokens, whose attended sums start at row `row`, to `pooled`.
  void compare(const Tokens& own, size_t row, float* pooled) {
    const int rows = static_cast<int>(own.count);
    for (size_t i = 0; i < own.count; ++i)
      write_features(own.values + i * k_, attended_ + (row + i) * k_, softmax_[row + i].sum, features_ + i * 4 * k_);
    const size_t h = comparison_.size;
    const float* const bias = comparison_.bias;
    multiply<S>(rows, {features_, 4 * k_}, {comparison_.weight, h}, 4 * k_, h,
                [pooled, bias, h](int, size_t j, Floats sum) __attribute__((always_inline)) {
                  const Floats compared = S::larger(sum + S::load(bias + j), Floats{});
                  S::store(pooled + j, S::load(pooled + j) + compared);
                  S::store(pooled + h + j, S::larger(compared, S::load(pooled + h + j)));
                });
  }

  void write_features(const float* own, const float* sums, float sum, float* features) const {
    const Floats inverse = S::all(sum > 0.0f ? 1.0f / sum : 0.0f);  // no other token: attends to zero
    for (size_t c = 0; c < k_; c += S::kLanes) {
      const Floats u = S::load(own + c), v = S::load(sums + c) * inverse, difference = u - v;
      S::store(features + c, u);
      S::store(features + k_ + c, v);
      S::store(features + 2 * k_ + c, S::larger(difference, -difference));
      S::store(features + 3 * k_ + c, u * v);
    }
  }

  const Comparison& comparison_;
  const size_t k_;
  float* const other_keys_;
  float* const attended_;
  float* const logits_;
  float* const features_;
  Softmax softmax_[kAlignRows];
};

/// AlignKernel::align for one instruction set.
template <class S>
void align_tokens(const Comparison& comparison, const Tokens& own, const Tokens& other, float* pooled, float* scratch) {
  Aligner<S>(comparison, scratch).align(own, other, pooled);
}

}  // namespace
}  // namespace cmow
