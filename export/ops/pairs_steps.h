// Read, mix, attend, fuse and pool, for vectors of any width: the blocks of RE2 (Yang et al., "Simple and Effective Text Matching
// with Richer Alignment Features", ACL 2019) on int8 activations.
//
// `S` is an instruction set: vectors `Floats` of kLanes numbers and what is done with them, the type of activations and of packed
// weights, and a register tile of kRows x kVectors sums. Activations are whole numbers from -127 to 127 of a row's own scale, so
// that integer products are exact and the same in every kernel.
//
// A row's numbers depend on its own token and on its pair alone: every sum runs in one order, however rows are grouped in tiles.
// Internal linkage on purpose, as in hybrid_product.h: each kernel file compiles its own copy with its own instruction set.
#pragma once

#include <float.h>
#include <string.h>

#include "pairs_encoder.h"

#define CMOW_INLINE inline __attribute__((always_inline))
#define CMOW_INLINED __attribute__((always_inline))  // of a lambda

namespace cmow {
namespace {

constexpr float kLargestActivation = 127.0f;
constexpr float kSmallestRow = 1e-30f;  // a row whose largest number is smaller is scaled as if it were this
constexpr size_t kPoolTokens = 256;     // tokens whose sum is taken at a time

constexpr size_t smaller_size(size_t a, size_t b) { return a < b ? a : b; }
constexpr size_t round_up(size_t size) { return (size + kPairLanes - 1) / kPairLanes * kPairLanes; }

/// Rows of a matrix: element (i, j) is at[i * stride + j].
struct Rows {
  const float* at;
  size_t stride;
};

/// x * clamp(x + 3, 0, 6) / 6
template <class S>
CMOW_INLINE typename S::Floats hardswish(typename S::Floats x) {
  const auto clamped = S::smaller(S::larger(x + S::all(3.0f), S::all(0.0f)), S::all(6.0f));
  return x * clamped * S::all(1.0f / 6.0f);
}

/// exp(x) for x <= 0, relative error below 2e-7; below -87, where it leaves the normal numbers, exp(-87).
template <class S>
CMOW_INLINE typename S::Floats exponential(typename S::Floats x) {
  constexpr float kRound = 0x1.8p23f;                                  // adding it rounds to an integer, in the low bits
  constexpr float kLn2High = 0x1.62e4p-1f, kLn2Low = 0x1.7f7d1cp-20f;  // the high part times an exponent is exact
  constexpr float kSeries[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
  x = S::larger(x, S::all(-87.0f));
  const auto shifted = S::multiply_add(x, S::all(0x1.715476p0f), S::all(kRound)), exponent = shifted - S::all(kRound);
  const auto r = S::multiply_add(exponent, S::all(-kLn2Low), S::multiply_add(exponent, S::all(-kLn2High), x));
  auto sum = S::all(kSeries[0]);
#pragma GCC unroll 8
  for (int i = 1; i < 7; ++i) sum = S::multiply_add(sum, r, S::all(kSeries[i]));
  return S::times_power_of_2(sum, shifted);
}

/// Rows from `first` to before `last` in tiles of nearly equal size: calls tile(first row, rows).
template <class S, class Tile>
CMOW_INLINE void in_tiles(size_t first, size_t last, const Tile& tile) {
  for (size_t tiles = (last - first + S::kRows - 1) / S::kRows; tiles > 0; --tiles) {
    const size_t rows = (last - first + tiles - 1) / tiles;
    tile(first, static_cast<int>(rows));
    first += rows;
  }
}

// --- products of float32 ---

/// sums = left [rows, depth] @ right [depth, vectors * lanes], then finish(row, column, sums).
template <class S, int rows, int vectors, class Finish>
CMOW_INLINE void multiply_tile(Rows left, Rows right, size_t depth, const Finish& finish) {
  typename S::Floats sums[rows][vectors];
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) sums[i][j] = S::all(0.0f);
#pragma GCC unroll 1
  for (size_t d = 0; d < depth; ++d) {
    typename S::Floats factors[vectors];
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) factors[j] = S::load(right.at + d * right.stride + static_cast<size_t>(j) * S::kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) {
      const auto factor = S::all(left.at[static_cast<size_t>(i) * left.stride + d]);
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) sums[i][j] = S::multiply_add(factor, factors[j], sums[i][j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) finish(i, static_cast<size_t>(j) * S::kLanes, sums[i][j]);
}

template <class S, int rows, int vectors, class Finish>
inline void multiply_rows(int row_count, Rows left, Rows right, size_t depth, const Finish& finish) {
  if constexpr (rows > 1)
    if (row_count < rows) return multiply_rows<S, rows - 1, vectors>(row_count, left, right, depth, finish);
  multiply_tile<S, rows, vectors>(left, right, depth, finish);
}

/// left [rows, depth] @ right [depth, columns], at most kRows rows: calls finish(row, column, lanes of the product) once for all
/// of it. `columns` is a multiple of kPairLanes.
template <class S, int vectors = S::kVectors, class Finish>
CMOW_INLINE void multiply(int rows, Rows left, Rows right, size_t depth, size_t columns, const Finish& finish, size_t column = 0) {
  constexpr size_t kWidth = vectors * S::kLanes;
  for (; column + kWidth <= columns; column += kWidth) {
    const auto shifted = [&finish, column](int i, size_t j, typename S::Floats sum) CMOW_INLINED { finish(i, column + j, sum); };
    multiply_rows<S, S::kRows, vectors>(rows, left, {right.at + column, right.stride}, depth, shifted);
  }
  if constexpr (vectors > 1)
    if (column < columns) multiply<S, vectors / 2>(rows, left, right, depth, columns, finish, column);
}

// --- products of whole numbers ---

/// Rows that go through a product: `count` of them, but not row `gap`, which may be `count`.
struct Span {
  size_t count, gap;
};

/// One of the products that are summed up: rows of activations with their scales, and a packed weight.
template <class S>
struct Part {
  const typename S::Activation* rows;  // [rows, depth]
  const float* row_scales;
  const Product* product;
};

template <class S, int rows, int vectors, class Finish>
inline void product_rows(int row_count, const typename S::Activation* left, const typename S::Weight* right, const int32_t* offsets,
                         size_t depth, size_t width, const Finish& finish) {
  if constexpr (rows > 1)
    if (row_count < rows) return product_rows<S, rows - 1, vectors>(row_count, left, right, offsets, depth, width, finish);
  S::template product_tile<rows, vectors>(left, right, offsets, depth, width, finish);
}

/// One strip of a part's product, `width` columns from `strip` on: calls store(row, column in the strip, under + product).
template <class S, int vectors = S::kVectors, class Store>
CMOW_INLINE void multiply_strip(const Part<S>& part, Span rows, size_t depth, size_t strip, size_t width, Rows under,
                                const Store& store, size_t column = 0) {
  const Product& product = *part.product;
  const auto* const weight = static_cast<const typename S::Weight*>(product.weight) + strip * depth;
  constexpr size_t kWidth = vectors * S::kLanes;
  for (; column + kWidth <= width; column += kWidth) {
    const float* const scales = product.scales + strip + column;
    const auto tile = [&, column](size_t row, int count) CMOW_INLINED {
      const float* const row_scales = part.row_scales + row;
      const float* const below = under.at + row * under.stride + column;
      const auto finish = [&](int i, size_t j, typename S::Floats whole) CMOW_INLINED {
        const auto sum = S::load(below + static_cast<size_t>(i) * under.stride + j);
        store(row + static_cast<size_t>(i), column + j, S::multiply_add(whole * S::load(scales + j), S::all(row_scales[i]), sum));
      };
      product_rows<S, S::kRows, vectors>(count, part.rows + row * depth, weight + column * S::kDepthStep,
                                         product.offsets + strip + column, depth, width, finish);
    };
    for (size_t first = 0, last = rows.gap; first < rows.count; first = last + 1, last = rows.count) in_tiles<S>(first, last, tile);
  }
  if constexpr (vectors > 1)
    if (column < width) multiply_strip<S, 1>(part, rows, depth, strip, width, under, store, column);
}

/// Sum of the products of `parts` and the bias: calls last(row, column, lanes of the sum) once for all of it. A strip of weights
/// serves all rows, at most kChunk, before the next one. `sums`: [kChunk, kStrip] to work in.
template <class S, class Last>
inline void sum_products(const Part<S>* parts, size_t part_count, Span rows, size_t depth, size_t columns, const float* bias,
                         float* sums, const Last& last) {
  for (size_t strip = 0; strip < columns; strip += kStrip) {
    const size_t width = smaller_size(kStrip, columns - strip);
    for (size_t p = 0; p < part_count; ++p) {
      const Rows under = p == 0 ? Rows{bias + strip, 0} : Rows{sums, kStrip};
      if (p + 1 < part_count)
        multiply_strip<S>(parts[p], rows, depth, strip, width, under, [sums](size_t row, size_t column, typename S::Floats sum)
                          CMOW_INLINED { S::store(sums + row * kStrip + column, sum); });
      else
        multiply_strip<S>(parts[p], rows, depth, strip, width, under, [&last, strip](size_t row, size_t column, typename S::Floats sum)
                          CMOW_INLINED { last(row, strip + column, sum); });
    }
  }
}

// --- activations ---

/// Writes a row of w numbers, whose largest absolute number is `largest`, as activations, and their scale. row(c) gives the
/// numbers from column c on.
template <class S, class Row>
CMOW_INLINE void round_row(size_t width, typename S::Floats largest, typename S::Activation* to, float* scale, const Row& row) {
  const float most = S::most(S::larger(largest, S::all(kSmallestRow)));
  const auto factor = S::all(kLargestActivation / most);
  size_t c = 0;
  for (; c + 4 * S::kLanes <= width; c += 4 * S::kLanes) {
    const typename S::Floats x[4] = {row(c) * factor, row(c + S::kLanes) * factor, row(c + 2 * S::kLanes) * factor,
                                     row(c + 3 * S::kLanes) * factor};
    S::store_four_rounded(to + c, x);
  }
  for (; c < width; c += S::kLanes) S::store_rounded(to + c, row(c) * factor);
  *scale = most / kLargestActivation;
}

template <class S>
CMOW_INLINE void zero_row(size_t width, typename S::Activation* to, float* scale) {
  for (size_t c = 0; c < width; c += S::kLanes) S::store_rounded(to + c, S::all(0.0f));
  *scale = 0.0f;
}

/// A row's softmax so far: exp(logit - largest) has been summed up.
struct Softmax {
  float largest;
  float sum;
};

/// One pair, and memory that this thread alone uses. `width` and `key_size` are known beforehand, or 0.
template <class S, size_t width, size_t key_size>
class PairWork {
 public:
  PairWork(const PairModel& model, const PairState& state, float* scratch)
      : model_(model), state_(state), w_(width != 0 ? width : model.width), q_(key_size != 0 ? key_size : model.key_size), empty_row_(state.counts[0]), sums_(scratch),
        found_(sums_ + kChunk * kStrip), rounded_scales_(found_ + kChunk * w_), logits_(rounded_scales_ + 3 * kChunk), rounded_found_(reinterpret_cast<Activation*>(logits_ + kMostProductRows * kStrip)) {}

  void read(size_t first, size_t last) const {
    for (size_t row = first; row < last; ++row) {
      if (row != empty_row_) read_row(row);
      round_features(0, 0, row);
    }
    if (first == 0) zero_row<S>(w_, rounded(0, -1), row_scale(0, -1));
    if (last == state_.rows()) zero_row<S>(w_, rounded(0, static_cast<ptrdiff_t>(last)), row_scale(0, static_cast<ptrdiff_t>(last)));
  }

  void mix(const PairBlock& block, size_t first, size_t last) const {
    for (; first < last; first += kChunk) mix_chunk(block, first, smaller_size(last - first, kChunk));
  }

  void fuse(const PairBlock& block, bool more, size_t first, size_t last) {
    for (; first < last; first += kChunk) fuse_chunk(block, more, first, smaller_size(last - first, kChunk));
  }

  void pool(size_t side, float* out) const {
    const size_t count = state_.counts[side];
    const float* const features = state_.features[0] + row_of(side, 0) * w_;
    for (size_t c = 0; c < w_; c += S::kLanes) pool_lanes(features + c, count, out + c, out + w_ + c);
  }

 private:
  using Floats = typename S::Floats;
  using Activation = typename S::Activation;

  size_t row_of(size_t side, size_t token) const { return side == 0 ? token : empty_row_ + 1 + token; }

  /// `count` rows from `first` on, without the one that is no token.
  Span span(size_t first, size_t count) const {
    const bool has_gap = empty_row_ >= first && empty_row_ < first + count;
    return {count, has_gap ? empty_row_ - first : count};
  }

  /// Row of the activations before (0) or after (1) the convolution; they have one more row on both sides.
  Activation* rounded(size_t which, ptrdiff_t row) const {
    return static_cast<Activation*>(state_.rounded[which]) + static_cast<size_t>(row + 1) * w_;
  }
  float* row_scale(size_t which, ptrdiff_t row) const { return state_.row_scales[which] + static_cast<size_t>(row + 1); }

  void read_row(size_t row) const {
    const size_t side = row > empty_row_, token = row - row_of(side, 0);
    const int64_t id = state_.token_ids[side][token];
    const int8_t* const stored = model_.rows + static_cast<size_t>(id) * w_;
    const float* const place = model_.places + smaller_size(token, model_.place_count - 1) * w_;
    const Floats scale = S::all(model_.scales[id]);
    float* const to = state_.features[0] + row * w_;
    for (size_t c = 0; c < w_; c += S::kLanes)
      S::store(to + c, hardswish<S>(S::multiply_add(S::load_int8(stored + c), scale, S::load(place + c))));
  }

  /// Activations of a row of features[from].
  void round_features(size_t from, size_t to, size_t row) const {
    Activation* const rounded_row = rounded(to, static_cast<ptrdiff_t>(row));
    float* const scale = row_scale(to, static_cast<ptrdiff_t>(row));
    if (row == empty_row_) return zero_row<S>(w_, rounded_row, scale);
    const float* const x = state_.features[from] + row * w_;
    Floats largest = S::all(0.0f);
    for (size_t c = 0; c < w_; c += S::kLanes) largest = S::larger(largest, S::absolute(S::load(x + c)));
    round_row<S>(w_, largest, rounded_row, scale, [x](size_t c) CMOW_INLINED { return S::load(x + c); });
  }

  void mix_chunk(const PairBlock& block, size_t first, size_t count) const {
    const ptrdiff_t at = static_cast<ptrdiff_t>(first);
    Part<S> parts[3];
    for (ptrdiff_t shift = -1; shift <= 1; ++shift)
      parts[shift + 1] = {rounded(0, at + shift), row_scale(0, at + shift), &block.mix[shift + 1]};
    float* const features = state_.features[0] + first * w_;
    sum_products<S>(parts, 3, span(first, count), w_, w_, block.mix_bias, sums_, [this, features](size_t row, size_t c, Floats sum) CMOW_INLINED {
      float* const x = features + row * w_ + c;
      S::store(x, S::load(x) + hardswish<S>(sum));
    });
    for (size_t row = first; row < first + count; ++row) round_features(0, 1, row);
    write_keys(block, first, count);
  }

  void write_keys(const PairBlock& block, size_t first, size_t count) const {
    const Part<S> part = {rounded(1, static_cast<ptrdiff_t>(first)), row_scale(1, static_cast<ptrdiff_t>(first)), &block.key};
    float* const keys = state_.keys + first * q_;
    sum_products<S>(&part, 1, span(first, count), w_, q_, block.key_bias, sums_, [this, keys](size_t row, size_t c, Floats sum) CMOW_INLINED {
      S::store(keys + row * q_ + c, sum);
    });
    for (size_t row = 0; row < count; ++row)
      if (first + row != empty_row_) transpose_key(keys + row * q_, first + row);
  }

  void transpose_key(const float* key, size_t row) const {
    const size_t side = row > empty_row_, token = row - row_of(side, 0);
    float* const to = state_.key_strips[side] + token / kStrip * kStrip * q_ + token % kStrip;
    for (size_t d = 0; d < q_; ++d) to[d * kStrip] = key[d];
  }

  void fuse_chunk(const PairBlock& block, bool more, size_t first, size_t count) {
    attend_side(0, first, smaller_size(first + count, empty_row_), first);
    attend_side(1, first > empty_row_ ? first : empty_row_ + 1, first + count, first);
    const Part<S> parts[4] = {{rounded(1, static_cast<ptrdiff_t>(first)), row_scale(1, static_cast<ptrdiff_t>(first)), &block.fuse[0]},
                              found_part(0, block.fuse[1]), found_part(1, block.fuse[2]), found_part(2, block.fuse[3])};
    const size_t offset = first * w_;
    const float* const from = state_.features[0] + offset;
    float* const to = state_.features[1] + offset;
    sum_products<S>(parts, 4, span(first, count), w_, w_, block.fuse_bias, sums_, [this, from, to](size_t row, size_t c, Floats sum) CMOW_INLINED {
      S::store(to + row * w_ + c, S::load(from + row * w_ + c) + hardswish<S>(sum));
    });
    for (size_t row = first; more && row < first + count; ++row) round_features(1, 0, row);
  }

  Part<S> found_part(size_t feature, const Product& product) const {
    return {rounded_found_ + feature * kChunk * w_, rounded_scales_ + feature * kChunk, &product};
  }

  /// The features of rows `first` to `last`, tokens of one side, with what they find on the other. They are rounded to the rows of
  /// `found_part` from `first - start` on.
  void attend_side(size_t side, size_t first, size_t last, size_t start) {
    if (first >= last) return;
    const size_t others = state_.counts[1 - side], count = last - first;
    if (others == 0) memset(found_, 0, count * w_ * sizeof(float));
    for (size_t i = 0; i < count; ++i) softmax_[i] = {-FLT_MAX, 0.0f};
    for (size_t token = 0; token < others; token += kStrip)
      in_tiles<S>(0, count, [&](size_t i, int rows) { attend_tile(1 - side, token, first + i, i, rows); });
    for (size_t i = 0; i < count; ++i) write_features(first + i, i, first + i - start);
  }

  /// Adds what `rows` rows from `row` on find among a strip of the tokens of side `other` to found_, from row `i` on.
  void attend_tile(size_t other, size_t token, size_t row, size_t i, int rows) {
    const size_t count = smaller_size(state_.counts[other] - token, kStrip);
    const float* const strip = state_.key_strips[other] + token * q_;
    const Floats divisor = S::all(1.0f / __builtin_sqrtf(static_cast<float>(q_)));
    multiply<S>(rows, {state_.keys + row * q_, q_}, {strip, kStrip}, q_, round_up(count),
                [this, divisor](int r, size_t j, Floats sum) CMOW_INLINED {
                  S::store(logits_ + static_cast<size_t>(r) * kStrip + j, sum * divisor);
                });
    float rescale[S::kRows];
    for (int r = 0; r < rows; ++r)
      rescale[r] = to_weights(logits_ + static_cast<size_t>(r) * kStrip, count, softmax_[i + static_cast<size_t>(r)]);
    float* const found = found_ + i * w_;
    const Rows others = {state_.features[0] + row_of(other, token) * w_, w_};
    if (token == 0)
      multiply<S>(rows, {logits_, kStrip}, others, count, w_, [this, found](int r, size_t j, Floats sum) CMOW_INLINED {
        S::store(found + static_cast<size_t>(r) * w_ + j, sum);
      });
    else
      multiply<S>(rows, {logits_, kStrip}, others, count, w_, [this, found, &rescale](int r, size_t j, Floats sum) CMOW_INLINED {
        float* const to = found + static_cast<size_t>(r) * w_ + j;
        S::store(to, S::multiply_add(S::load(to), S::all(rescale[r]), sum));
      });
  }

  /// Replaces a row's logits by exp(logit - largest), and adds them to its softmax. Returns the factor that brings what was
  /// summed before to the new largest logit.
  static CMOW_INLINE float to_weights(float* logits, size_t count, Softmax& softmax) {
    const size_t columns = round_up(count);
    for (size_t j = count; j < columns; ++j) logits[j] = -FLT_MAX;
    Floats lanes = S::all(softmax.largest);
    for (size_t j = 0; j < columns; j += S::kLanes) lanes = S::larger(lanes, S::load(logits + j));
    const float largest = S::most(lanes);
    Floats sums = S::all(0.0f);
    for (size_t j = 0; j < columns; j += S::kLanes) {
      const Floats weights = exponential<S>(S::load(logits + j) - S::all(largest));
      S::store(logits + j, weights);
      sums = sums + weights;
    }
    const float rescale = S::first(exponential<S>(S::all(softmax.largest - largest)));
    softmax = {largest, softmax.sum * rescale + S::total(sums)};
    return rescale;
  }

  /// Rounds found, |own - found| and own * found of the row `row`, whose found sums are row `i`.
  void write_features(size_t row, size_t i, size_t to) const {
    const float* const own = state_.features[0] + row * w_;
    const float* const sums = found_ + i * w_;
    const Floats inverse = S::all(softmax_[i].sum > 0.0f ? 1.0f / softmax_[i].sum : 0.0f);  // no other token: finds zero
    const auto found = [=](size_t c) CMOW_INLINED { return S::load(sums + c) * inverse; };
    const auto distance = [=](size_t c) CMOW_INLINED { return S::absolute(S::load(own + c) - found(c)); };
    const auto product = [=](size_t c) CMOW_INLINED { return S::load(own + c) * found(c); };
    Floats largest[3] = {S::all(0.0f), S::all(0.0f), S::all(0.0f)};
    for (size_t c = 0; c < w_; c += S::kLanes) {
      largest[0] = S::larger(largest[0], S::absolute(found(c)));
      largest[1] = S::larger(largest[1], distance(c));
      largest[2] = S::larger(largest[2], S::absolute(product(c)));
    }
    Activation* const activations = rounded_found_ + to * w_;
    float* const scales = rounded_scales_ + to;
    round_row<S>(w_, largest[0], activations, scales, found);
    round_row<S>(w_, largest[1], activations + kChunk * w_, scales + kChunk, distance);
    round_row<S>(w_, largest[2], activations + 2 * kChunk * w_, scales + 2 * kChunk, product);
  }

  void pool_lanes(const float* features, size_t count, float* mean, float* most) const {
    Floats total = S::all(0.0f), largest = S::all(count == 0 ? 0.0f : -FLT_MAX);
    for (size_t first = 0; first < count; first += kPoolTokens) {
      Floats sum = S::all(0.0f);
      for (size_t i = first; i < smaller_size(first + kPoolTokens, count); ++i) {
        const Floats x = S::load(features + i * w_);
        sum = sum + x;
        largest = S::larger(x, largest);
      }
      total = total + sum;
    }
    S::store(mean, total * S::all(count == 0 ? 0.0f : 1.0f / static_cast<float>(count)));
    S::store(most, largest);
  }

  const PairModel& model_;
  const PairState& state_;
  const size_t w_, q_;
  const size_t empty_row_;
  float* const sums_;            // [kChunk, kStrip]
  float* const found_;           // [kChunk, w]
  float* const rounded_scales_;  // [3, kChunk]
  float* const logits_;          // [kMostProductRows, kStrip]
  Activation* const rounded_found_;  // [3, kChunk, w]
  Softmax softmax_[kChunk];
};

/// Calls work(PairWork) for a pair of `model`; the sizes of the bundled model are known when this is compiled.
template <class S, class Work>
CMOW_INLINE void with_sizes(const PairModel& model, const PairState& state, float* scratch, const Work& work) {
  if (model.width == 128 && model.key_size == 64) work(PairWork<S, 128, 64>(model, state, scratch));
  else work(PairWork<S, 0, 0>(model, state, scratch));
}

/// The kernel of one instruction set.
template <class S>
constexpr PairKernel pair_kernel(const char* isa) {
  static_assert(kPairLanes % S::kLanes == 0 && S::kRows <= static_cast<int>(kMostProductRows));
  return {
      isa, S::kPacking, sizeof(typename S::Activation),
      [](const PairModel& model, const PairState& state, size_t first, size_t last, float* scratch) {
        with_sizes<S>(model, state, scratch, [=](auto work) { work.read(first, last); });
      },
      [](const PairModel& model, const PairBlock& block, const PairState& state, size_t first, size_t last, float* scratch) {
        with_sizes<S>(model, state, scratch, [=, &block](auto work) { work.mix(block, first, last); });
      },
      [](const PairModel& model, const PairBlock& block, const PairState& state, size_t first, size_t last, float* scratch) {
        const bool more = &block + 1 < model.blocks + model.block_count;
        with_sizes<S>(model, state, scratch, [=, &block](auto work) { work.fuse(block, more, first, last); });
      },
      [](const PairModel& model, const PairState& state, size_t side, float* out, float* scratch) {
        with_sizes<S>(model, state, scratch, [=](auto work) { work.pool(side, out); });
      }};
}

}  // namespace
}  // namespace cmow
