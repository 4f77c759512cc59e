// Two sentences read beside each other by one thread block, from token ids to pooled features.
//
// Both sentences need each other between the blocks of the network, so a thread block keeps all rows of its pair: the first
// sentence's tokens, then the second's. Where they lie is the launch's choice, shared memory or a part of a workspace; the steps
// are the same, and so are the bits.
//
// Products of whole numbers go in tiles: a warp takes kTileRows rows and four columns a lane, and adds four products at a time.
// Attention gives each row to a warp, which takes the other sentence's tokens 32 at a time, one a lane, keeping the largest logit
// so far, so that no more than 32 logits exist. A row's numbers depend on its own pair alone, and every sum runs in one order.
//
// Phases and `Threads` are as in hybrid_block.h.
#pragma once

#include <float.h>
#include <math.h>
#include <string.h>

#include "fault.h"
#include "sentence.h"

namespace cmow {

constexpr int kPairWarps = 8;
constexpr int kPairThreads = kWarp * kPairWarps;
constexpr int kTileRows = 4;
constexpr int kTileColumns = 4 * kWarp;
constexpr int kTileDepth = 16;   // weights of a column that are loaded before they are used
constexpr int kSumTokens = 256;  // tokens whose sum is taken at a time

constexpr float kLargestActivation = 127.0f;
constexpr float kSmallestRow = 1e-30f;  // a row whose largest number is smaller is scaled as if it were this

/// Sentence pairs, tables and weights on the device; w and q are multiples of kTileDepth.
struct DevicePairs {
  const int64_t *token_ids, *cu_seqlens, *pairs;  // [N], [B + 1], [P, 2]
  int64_t tokens, sentences, count;               // N, B, P
  const int8_t* rows;                             // [V, w]
  const float *scales, *places;                   // [V], [S, w]
  int64_t vocabulary, place_count;                // V, S
  const int8_t* mix;                              // [T, w, 3 w]
  const float *mix_scales, *mix_bias;             // [T, 3 w], [T, w]
  const int8_t* key;                              // [T, w, q]
  const float *key_scales, *key_bias;             // [T, q] each
  const int8_t* fuse;                             // [T, 4, w, w]
  const float *fuse_scales, *fuse_bias;           // [T, 4, w], [T, w]
  int blocks, width, key_size;                    // T, w, q
  float* pooled;                                  // [P, 2, 2 w], the result
};

/// Floats between two rows of keys: with four more, a warp that reads 32 rows at once meets all banks alike.
CMOW_BOTH constexpr int64_t key_stride(const DevicePairs& batch) { return batch.key_size + 4; }

/// Bytes of memory for a row of a pair: features, keys, four rows of activations with their scales. A multiple of 16.
CMOW_BOTH constexpr int64_t pair_row_bytes(const DevicePairs& batch) {
  return 4 * (int64_t{batch.width} + key_stride(batch)) + 4 * int64_t{batch.width} + 4 * 4;
}

/// Floats of a warp: what its row finds [w], 32 weights, largest numbers of three features by lanes.
CMOW_BOTH constexpr int64_t pair_warp_floats(const DevicePairs& batch) { return batch.width + 4 * kWarp; }

/// Bytes of a block that are always shared: those of its warps, a flag. A multiple of 16.
CMOW_BOTH constexpr int64_t pair_scratch_bytes(const DevicePairs& batch) { return 4 * kPairWarps * pair_warp_floats(batch) + 16; }

/// Rows of a pair that fit `bytes` of shared memory beside what is always there; 0 where none does.
CMOW_BOTH constexpr int64_t rows_that_fit(const DevicePairs& batch, int64_t bytes) {
  return bytes < pair_scratch_bytes(batch) ? 0 : (bytes - pair_scratch_bytes(batch)) / pair_row_bytes(batch);
}

/// Rows of the longest pair that there can be: of the longest sentence with itself.
CMOW_BOTH constexpr int64_t most_pair_rows(const DevicePairs& batch) { return 2 * batch.tokens; }

/// What a thread keeps in its registers between phases: the softmax of its warp's row so far.
struct PairLane {
  float largest, sum, rescale;
};

using FourFloats = Pack<float, 4>;
using FourBytes = Pack<int8_t, 4>;
using FourWords = Pack<uint32_t, 4>;

/// Bytes of `a` (0 to 3) and `b` (4 to 7) as the digits of `selector` say, from the lowest on.
CMOW_DEVICE uint32_t pick_bytes(uint32_t a, uint32_t b, uint32_t selector) {
#ifdef __CUDA_ARCH__
  return __byte_perm(a, b, selector);
#else
  const uint64_t both = static_cast<uint64_t>(b) << 32 | a;
  uint32_t picked = 0;
  for (int i = 0; i < 4; ++i) picked |= static_cast<uint32_t>(both >> 8 * (selector >> 4 * i & 7) & 0xff) << 8 * i;
  return picked;
#endif
}

/// Byte i of word j becomes byte j of word i.
CMOW_DEVICE FourWords transpose(const FourWords& words) {
  const uint32_t low = pick_bytes(words.at[0], words.at[1], 0x5140), high = pick_bytes(words.at[0], words.at[1], 0x7362);
  const uint32_t low2 = pick_bytes(words.at[2], words.at[3], 0x5140), high2 = pick_bytes(words.at[2], words.at[3], 0x7362);
  return {{pick_bytes(low, low2, 0x5410), pick_bytes(low, low2, 0x7632), pick_bytes(high, high2, 0x5410),
           pick_bytes(high, high2, 0x7632)}};
}

/// sum + the product of four signed bytes each.
CMOW_DEVICE int32_t add_four(uint32_t left, uint32_t right, int32_t sum) {
#ifdef __CUDA_ARCH__
  return __dp4a(static_cast<int32_t>(left), static_cast<int32_t>(right), sum);
#else
  for (int i = 0; i < 32; i += 8) sum += static_cast<int8_t>(left >> i & 0xff) * static_cast<int8_t>(right >> i & 0xff);
  return sum;
#endif
}

/// x * clamp(x + 3, 0, 6) / 6
CMOW_DEVICE float hardswish(float x) { return x * fminf(fmaxf(x + 3.0f, 0.0f), 6.0f) * (1.0f / 6.0f); }

CMOW_DEVICE int8_t rounded(float x) { return static_cast<int8_t>(rintf(x)); }

template <class T>
CMOW_DEVICE T& as(void* at) { return *static_cast<T*>(at); }
template <class T>
CMOW_DEVICE const T& as(const void* at) { return *static_cast<const T*>(at); }

/// `Threads` has a `fault` to note what is wrong beside its phases.
template <class Threads>
class PairProgram {
 public:
  /// `scratch`: pair_scratch_bytes of shared memory.
  CMOW_DEVICE PairProgram(const DevicePairs& batch, void* scratch, Threads& threads)
      : batch_(batch), w_(batch.width), q_(batch.key_size), scratch_(static_cast<float*>(scratch)), threads_(threads) {}

  /// The shared memory beside the scratch.
  CMOW_DEVICE void* memory_beside() const { return scratch_ + pair_scratch_bytes(batch_) / 4; }

  /// Pair `index` where it has more than `least` rows and at most `most`, in `memory` for so many. Wrong ones have none.
  CMOW_DEVICE void encode(int64_t index, int64_t least, int64_t most, void* memory) {
    const bool right = find(index);
    if (rows_ <= least || rows_ > most) return;
    if (!right) {
      note_fault(index);
      return write_nan(index);
    }
    divide(memory);
    check_ids();
    if (bad()) return write_nan(index);
    read();
    for (int block = 0; block < batch_.blocks; ++block) {
      mix(block);
      round_features();
      write_keys(block);
      for (int64_t first = 0; first < rows_; first += kPairWarps) attend(first);
      threads_.block([](PairLane&, int) {});
      fuse(block);
      if (block + 1 < batch_.blocks) round_features();
    }
    pool(index);
  }

  /// All pairs of more than `least` rows that are the share of block `index` of `blocks`, in a workspace of `rows` rows, of which
  /// each block takes what the longest pair needs, and blocks without a part have no share.
  CMOW_DEVICE void encode_long(int64_t index, int64_t blocks, int64_t least, void* workspace, int64_t rows) {
    const int64_t longest = longest_pair();
    if (longest <= least) return;
    const int64_t parts = rows / longest, sharing = parts < blocks ? parts : blocks;
    if (index >= sharing) return;
    char* const part = static_cast<char*>(workspace) + index * longest * pair_row_bytes(batch_);
    for (int64_t pair = index; pair < batch_.count; pair += sharing) encode(pair, least, longest, part);
  }

 private:
  /// A summand of a product. Row i of the result takes row i + shift, where the same sentence has one.
  struct Part {
    const int8_t* activations;  // [rows, w]
    const float* row_scales;    // [rows]
    int shift;
    const int8_t* weight;       // [w, columns], rows `stride` apart
    int stride;
    const float* scales;        // [columns]
  };

  CMOW_DEVICE bool is_sentence(int64_t s) const { return s >= 0 && s < batch_.sentences; }

  /// Looks up both sentences; without rows where that fails.
  CMOW_DEVICE bool find(int64_t index) {
    bool right = true;
    for (int side = 0; side < 2; ++side) {
      const int64_t s = batch_.pairs[2 * index + side];
      sides_[side] = is_sentence(s) ? sentence_at(batch_.cu_seqlens, batch_.tokens, batch_.sentences, s) : Sentence{0, 0, false};
      right = right && sides_[side].valid;
    }
    rows_ = right ? sides_[0].length + sides_[1].length : 0;
    return right;
  }

  CMOW_DEVICE void note_fault(int64_t index) {
    for (int side = 0; side < 2; ++side) {
      const int64_t s = batch_.pairs[2 * index + side];
      if (!is_sentence(s)) threads_.fault(make_fault(kBadPair, index));
      else if (!sides_[side].valid) threads_.fault(make_fault(kBadOffset, s));
    }
  }

  /// Rows of the longest pair.
  CMOW_DEVICE int64_t longest_pair() {
    auto* const by_threads = reinterpret_cast<int64_t*>(scratch_);
    threads_.block([&](PairLane&, int thread) {
      int64_t longest = 0;
      for (int64_t pair = thread; pair < batch_.count; pair += kPairThreads) {
        find(pair);
        longest = rows_ > longest ? rows_ : longest;
      }
      by_threads[thread] = longest;
    });
    int64_t longest = 0;
    for (int thread = 0; thread < kPairThreads; ++thread) longest = by_threads[thread] > longest ? by_threads[thread] : longest;
    threads_.block([](PairLane&, int) {});  // before anything else is written there
    return longest;
  }

  CMOW_DEVICE void divide(void* memory) {
    features_ = static_cast<float*>(memory);
    keys_ = features_ + rows_ * w_;
    activations_ = reinterpret_cast<int8_t*>(keys_ + rows_ * key_stride(batch_));
    row_scales_ = reinterpret_cast<float*>(activations_ + 4 * rows_ * w_);
  }

  CMOW_DEVICE float* found(int thread) const { return scratch_ + thread / kWarp * pair_warp_floats(batch_); }
  CMOW_DEVICE float* weights(int thread) const { return found(thread) + w_; }
  CMOW_DEVICE float* notes(int thread) const { return weights(thread) + kWarp; }
  CMOW_DEVICE int32_t& bad() const { return as<int32_t>(scratch_ + kPairWarps * pair_warp_floats(batch_)); }

  CMOW_DEVICE float* features(int64_t row) const { return features_ + row * w_; }
  CMOW_DEVICE float* key(int64_t row) const { return keys_ + row * key_stride(batch_); }
  /// Activations of all rows' own features (0), or of found (1), |own - found| (2) and own * found (3).
  CMOW_DEVICE int8_t* activations(int feature) const { return activations_ + feature * rows_ * w_; }
  CMOW_DEVICE float* row_scales(int feature) const { return row_scales_ + feature * rows_; }

  CMOW_DEVICE int side_of(int64_t row) const { return row < sides_[0].length ? 0 : 1; }
  CMOW_DEVICE int64_t first_row(int side) const { return side == 0 ? 0 : sides_[0].length; }
  CMOW_DEVICE int64_t token_of(int64_t row) const {
    const int side = side_of(row);
    return sides_[side].start + row - first_row(side);
  }

  /// Calls body(column) for every fourth column, those of a lane.
  template <class Body>
  CMOW_DEVICE void each_four_columns(int thread, const Body& body) const {
    for (int c = thread % kWarp * 4; c < w_; c += kTileColumns) body(c);
  }

  CMOW_DEVICE void write_nan(int64_t index) {
    threads_.block([&](PairLane&, int thread) {
      for (int i = thread; i < 4 * w_; i += kPairThreads) batch_.pooled[index * 4 * w_ + i] = NAN;
    });
  }

  CMOW_DEVICE void check_ids() {
    threads_.block([&](PairLane&, int thread) {
      if (thread == 0) bad() = 0;
    });
    threads_.block([&](PairLane&, int thread) {
      for (int64_t row = thread; row < rows_; row += kPairThreads) {
        const int64_t token = token_of(row), id = batch_.token_ids[token];
        if (id >= 0 && id < batch_.vocabulary) continue;
        bad() = 1;
        threads_.fault(make_fault(kBadId, token));
      }
    });
  }

  CMOW_DEVICE void read() {
    threads_.block([&](PairLane&, int thread) {
      for (int64_t row = thread / kWarp; row < rows_; row += kPairWarps) read_row(row, thread);
    });
    round_features();
  }

  CMOW_DEVICE void read_row(int64_t row, int thread) const {
    const int64_t id = batch_.token_ids[token_of(row)], token = row - first_row(side_of(row));
    const int64_t place = token < batch_.place_count ? token : batch_.place_count - 1;
    const float scale = batch_.scales[id];
    each_four_columns(thread, [&](int c) {
      const auto& stored = as<FourBytes>(batch_.rows + id * w_ + c);
      const auto& added = as<FourFloats>(batch_.places + place * w_ + c);
      FourFloats x;
      for (int i = 0; i < 4; ++i) x.at[i] = hardswish(fmaf(static_cast<float>(stored.at[i]), scale, added.at[i]));
      as<FourFloats>(features(row) + c) = x;
    });
  }

  // --- activations ---

  /// Rounds all rows' own features.
  CMOW_DEVICE void round_features() {
    for (int64_t first = 0; first < rows_; first += kPairWarps) {
      threads_.warps([&](PairLane&, int thread) {
        const int64_t row = first + thread / kWarp;
        if (row >= rows_) return;
        float largest = 0.0f;
        each_four_columns(thread, [&](int c) { largest = fmaxf(largest, largest_of(as<FourFloats>(features(row) + c))); });
        notes(thread)[thread % kWarp] = largest;
      });
      threads_.warps([&](PairLane&, int thread) {
        const int64_t row = first + thread / kWarp;
        if (row >= rows_) return;
        const float factor = scale_row(0, row, thread);
        each_four_columns(thread, [&](int c) { store_rounded(0, row, c, as<FourFloats>(features(row) + c), factor); });
      });
    }
    threads_.block([](PairLane&, int) {});
  }

  static CMOW_DEVICE float largest_of(const FourFloats& x) {
    return fmaxf(fmaxf(fabsf(x.at[0]), fabsf(x.at[1])), fmaxf(fabsf(x.at[2]), fabsf(x.at[3])));
  }

  /// Writes the scale of a row of `feature` by the notes of its largest numbers, and returns what its numbers are multiplied by.
  CMOW_DEVICE float scale_row(int feature, int64_t row, int thread) const {
    const float* const largest = notes(thread) + (feature == 0 ? 0 : feature - 1) * kWarp;
    float most = kSmallestRow;
    for (int lane = 0; lane < kWarp; ++lane) most = fmaxf(most, largest[lane]);
    if (thread % kWarp == 0) row_scales(feature)[row] = most / kLargestActivation;
    return kLargestActivation / most;
  }

  CMOW_DEVICE void store_rounded(int feature, int64_t row, int column, const FourFloats& x, float factor) const {
    FourBytes stored;
    for (int i = 0; i < 4; ++i) stored.at[i] = rounded(x.at[i] * factor);
    as<FourBytes>(activations(feature) + row * w_ + column) = stored;
  }

  // --- products of whole numbers ---

  /// The sum of the bias and the products of `parts`, for all rows: calls last(row, column, four columns of it from that on).
  template <int count, class Last>
  CMOW_DEVICE void sum_products(const Part (&parts)[count], int columns, const float* bias, const Last& last) {
    threads_.block([&](PairLane&, int thread) {
      const int across = (columns + kTileColumns - 1) / kTileColumns;
      const int64_t tiles = (rows_ + kTileRows - 1) / kTileRows * across;
      for (int64_t tile = thread / kWarp; tile < tiles; tile += kPairWarps) {
        const int column = static_cast<int>(tile % across) * kTileColumns + thread % kWarp * 4;
        if (column < columns) sum_tile(parts, tile / across * kTileRows, column, as<FourFloats>(bias + column), last);
      }
    });
  }

  template <int count, class Last>
  CMOW_DEVICE void sum_tile(const Part (&parts)[count], int64_t first, int column, const FourFloats& bias, const Last& last) const {
    FourFloats sums[kTileRows];
    for (int r = 0; r < kTileRows; ++r) sums[r] = bias;
    for (int p = 0; p < count; ++p) add_part(parts[p], first, column, sums);
    for (int r = 0; r < kTileRows; ++r)
      if (first + r < rows_) last(first + r, column, sums[r]);
  }

  CMOW_DEVICE void add_part(const Part& part, int64_t first, int column, FourFloats (&sums)[kTileRows]) const {
    const int8_t* left[kTileRows];
    float row_scales[kTileRows];
    for (int r = 0; r < kTileRows; ++r) {
      const int64_t to = first + r < rows_ ? first + r : rows_ - 1, from = to + part.shift;
      const bool there = from >= 0 && from < rows_ && side_of(from) == side_of(to);
      left[r] = part.activations + (there ? from : to) * w_;
      row_scales[r] = there ? part.row_scales[from] : 0.0f;
    }
    int32_t whole[kTileRows][4] = {};
    for (int d = 0; d < w_; d += kTileDepth) add_depths(left, part.weight + static_cast<int64_t>(d) * part.stride + column, part.stride, d, whole);
    const auto& scales = as<FourFloats>(part.scales + column);
    for (int r = 0; r < kTileRows; ++r)
      for (int i = 0; i < 4; ++i) sums[r].at[i] = fmaf(static_cast<float>(whole[r][i]) * scales.at[i], row_scales[r], sums[r].at[i]);
  }

  /// Adds kTileDepth products, from depth `d` on, whose weights start at `weight`.
  static CMOW_DEVICE void add_depths(const int8_t* const (&left)[kTileRows], const int8_t* weight, int stride, int d,
                                     int32_t (&whole)[kTileRows][4]) {
    FourWords right[4];
    for (int i = 0; i < 4; ++i) {
      FourWords by_depth;
      for (int j = 0; j < 4; ++j) by_depth.at[j] = as<uint32_t>(weight + static_cast<int64_t>(4 * i + j) * stride);
      right[i] = transpose(by_depth);
    }
    for (int r = 0; r < kTileRows; ++r) {
      const FourWords factors = as<FourWords>(left[r] + d);
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) whole[r][j] = add_four(factors.at[i], right[i].at[j], whole[r][j]);
    }
  }

  CMOW_DEVICE void mix(int block) {
    const int8_t* const weight = batch_.mix + int64_t{block} * w_ * 3 * w_;
    const float* const scales = batch_.mix_scales + int64_t{block} * 3 * w_;
    const Part parts[3] = {{activations(0), row_scales(0), -1, weight, 3 * w_, scales},
                           {activations(0), row_scales(0), 0, weight + w_, 3 * w_, scales + w_},
                           {activations(0), row_scales(0), 1, weight + 2 * w_, 3 * w_, scales + 2 * w_}};
    add_to_features(parts, batch_.mix_bias + int64_t{block} * w_);
  }

  CMOW_DEVICE void write_keys(int block) {
    const Part part[1] = {{activations(0), row_scales(0), 0, batch_.key + int64_t{block} * w_ * q_, q_, batch_.key_scales + int64_t{block} * q_}};
    sum_products(part, q_, batch_.key_bias + int64_t{block} * q_,
                 [&](int64_t row, int column, const FourFloats& sums) { as<FourFloats>(key(row) + column) = sums; });
  }

  CMOW_DEVICE void fuse(int block) {
    const int8_t* const weight = batch_.fuse + int64_t{block} * 4 * w_ * w_;
    const float* const scales = batch_.fuse_scales + int64_t{block} * 4 * w_;
    Part parts[4];
    for (int i = 0; i < 4; ++i) parts[i] = {activations(i), row_scales(i), 0, weight + int64_t{i} * w_ * w_, w_, scales + i * w_};
    add_to_features(parts, batch_.fuse_bias + int64_t{block} * w_);
  }

  template <int count>
  CMOW_DEVICE void add_to_features(const Part (&parts)[count], const float* bias) {
    sum_products(parts, w_, bias, [&](int64_t row, int column, const FourFloats& sums) {
      auto& x = as<FourFloats>(features(row) + column);
      for (int i = 0; i < 4; ++i) x.at[i] += hardswish(sums.at[i]);
    });
  }

  // --- attention ---

  /// What a warp's row, of kPairWarps from `first` on, finds on the other side, rounded beside what comes of it.
  CMOW_DEVICE void attend(int64_t first) {
    threads_.warps([&](PairLane& lane, int thread) {
      lane.largest = -FLT_MAX;
      lane.sum = 0.0f;
      each_four_columns(thread, [&](int c) { as<FourFloats>(found(thread) + c) = {}; });
    });
    const int64_t longer = sides_[0].length > sides_[1].length ? sides_[0].length : sides_[1].length;
    for (int64_t other = 0; other < longer; other += kWarp) attend_to(first, other);
    write_found(first);
  }

  /// Where a warp stands in `attend_to`: its row, the first row of up to 32 others, and how many those are, not above 0 for none.
  struct Tile {
    int64_t row, other, count;
  };

  CMOW_DEVICE Tile tile_at(int64_t first, int64_t other, int thread) const {
    const int64_t row = first + thread / kWarp;
    if (row >= rows_) return {row, 0, 0};
    const int side = 1 - side_of(row);
    const int64_t left = sides_[side].length - other;
    return {row, first_row(side) + other, left < kWarp ? left : kWarp};
  }

  /// Adds the tokens from `other` on of the other side, 32 at most.
  CMOW_DEVICE void attend_to(int64_t first, int64_t other) {
    threads_.warps([&](PairLane&, int thread) {
      const Tile tile = tile_at(first, other, thread);
      const int lane = thread % kWarp;
      if (lane < tile.count) weights(thread)[lane] = logit(key(tile.row), key(tile.other + lane));
    });
    threads_.warps([&](PairLane& lane, int thread) {
      const Tile tile = tile_at(first, other, thread);
      float largest = lane.largest;
      for (int j = 0; j < tile.count; ++j) largest = fmaxf(largest, weights(thread)[j]);
      lane.rescale = expf(lane.largest - largest);
      lane.largest = largest;
    });
    threads_.warps([&](PairLane& lane, int thread) {
      const Tile tile = tile_at(first, other, thread);
      float& weight = weights(thread)[thread % kWarp];
      if (thread % kWarp < tile.count) weight = expf(weight - lane.largest);
    });
    threads_.warps([&](PairLane& lane, int thread) {
      const Tile tile = tile_at(first, other, thread);
      if (tile.count > 0) add_found(lane, tile, thread);
    });
  }

  CMOW_DEVICE float logit(const float* left, const float* right) const {
    float sum = 0.0f;
    for (int d = 0; d < q_; d += 4) {
      const auto &a = as<FourFloats>(left + d), &b = as<FourFloats>(right + d);
      for (int i = 0; i < 4; ++i) sum = fmaf(a.at[i], b.at[i], sum);
    }
    return sum / sqrtf(static_cast<float>(q_));
  }

  CMOW_DEVICE void add_found(PairLane& lane, const Tile& tile, int thread) const {
    float sum = 0.0f;
    for (int j = 0; j < tile.count; ++j) sum += weights(thread)[j];
    lane.sum = fmaf(lane.sum, lane.rescale, sum);
    each_four_columns(thread, [&](int c) {
      FourFloats x = {};
      for (int j = 0; j < tile.count; ++j) {
        const auto& other = as<FourFloats>(features(tile.other + j) + c);
        for (int i = 0; i < 4; ++i) x.at[i] = fmaf(weights(thread)[j], other.at[i], x.at[i]);
      }
      auto& to = as<FourFloats>(found(thread) + c);
      for (int i = 0; i < 4; ++i) to.at[i] = fmaf(to.at[i], lane.rescale, x.at[i]);
    });
  }

  /// found, |own - found| and own * found.
  struct Compared {
    FourFloats features[3];
  };

  CMOW_DEVICE Compared compared(const PairLane& lane, int64_t row, int column, int thread) const {
    const float inverse = lane.sum > 0.0f ? 1.0f / lane.sum : 0.0f;  // no other token: finds zero
    const auto &own = as<FourFloats>(features(row) + column), &sums = as<FourFloats>(found(thread) + column);
    Compared result;
    for (int i = 0; i < 4; ++i) {
      const float x = sums.at[i] * inverse;
      result.features[0].at[i] = x;
      result.features[1].at[i] = fabsf(own.at[i] - x);
      result.features[2].at[i] = own.at[i] * x;
    }
    return result;
  }

  CMOW_DEVICE void write_found(int64_t first) {
    threads_.warps([&](PairLane& lane, int thread) {
      const int64_t row = first + thread / kWarp;
      if (row >= rows_) return;
      float largest[3] = {};
      each_four_columns(thread, [&](int c) {
        const Compared x = compared(lane, row, c, thread);
        for (int i = 0; i < 3; ++i) largest[i] = fmaxf(largest[i], largest_of(x.features[i]));
      });
      for (int i = 0; i < 3; ++i) notes(thread)[i * kWarp + thread % kWarp] = largest[i];
    });
    threads_.warps([&](PairLane& lane, int thread) {
      const int64_t row = first + thread / kWarp;
      if (row >= rows_) return;
      float factors[3];
      for (int i = 0; i < 3; ++i) factors[i] = scale_row(1 + i, row, thread);
      each_four_columns(thread, [&](int c) {
        const Compared x = compared(lane, row, c, thread);
        for (int i = 0; i < 3; ++i) store_rounded(1 + i, row, c, x.features[i], factors[i]);
      });
    });
  }

  /// Mean and maximum over the tokens of both sides; zeros without any.
  CMOW_DEVICE void pool(int64_t index) {
    threads_.block([&](PairLane&, int thread) {
      for (int i = thread; i < 2 * w_; i += kPairThreads) {
        const int side = i / w_, column = i % w_;
        pool_column(side, features(first_row(side)) + column, batch_.pooled + (index * 2 + side) * 2 * w_ + column);
      }
    });
  }

  CMOW_DEVICE void pool_column(int side, const float* column, float* to) const {
    const int64_t count = sides_[side].length;
    float total = 0.0f, largest = count == 0 ? 0.0f : -FLT_MAX;
    for (int64_t first = 0; first < count; first += kSumTokens) {
      float sum = 0.0f;
      for (int64_t i = first; i < count && i < first + kSumTokens; ++i) {
        sum += column[i * w_];
        largest = fmaxf(largest, column[i * w_]);
      }
      total += sum;
    }
    to[0] = total * (count == 0 ? 0.0f : 1.0f / static_cast<float>(count));
    to[w_] = largest;
  }

  const DevicePairs& batch_;
  const int w_, q_;
  float* const scratch_;
  Threads& threads_;
  Sentence sides_[2] = {};
  int64_t rows_ = 0;
  float *features_ = nullptr, *keys_ = nullptr, *row_scales_ = nullptr;
  int8_t* activations_ = nullptr;
};

}  // namespace cmow
