// One half of a sentence pair by one thread block: what each of its own tokens has beside the other sentence, pooled.
//
// A warp takes every kAlignWarps-th token. It attends to the other sentence's tokens 32 at a time, one a lane, keeping the
// largest logit so far, so that no more than 32 logits exist. Phases and `Threads` are as in hybrid_block.h.
#pragma once

#include <float.h>
#include <math.h>

#include "../align_pairs.h"
#include "fault.h"

namespace cmow {

constexpr int kAlignWarps = 8;
constexpr int kAlignThreads = 32 * kAlignWarps;

/// Sentences and pairs of them on the device.
struct DevicePairs {
  Comparison comparison;      // sizes as they are, without padding
  const float *keys, *values;  // [N, q], [N, k]
  const int64_t* cu_seqlens;  // [B + 1]
  const int64_t* pairs;       // [Q, 2]
  int64_t tokens, sentences, count;  // N, B, Q
  float* pooled;              // [Q, 2, 2 h]
};

/// What a thread keeps in its registers: the softmax of its warp's token so far.
struct AlignLane {
  float largest, sum, rescale;
};

/// A warp's shared memory: 32 weights, what the token attends to [k], features [4 k], sums and maxima of comparisons [h] each.
CMOW_BOTH constexpr size_t align_warp_floats(const Comparison& c) { return 32 + 5 * c.value_size + 2 * c.size; }
CMOW_BOTH constexpr size_t align_shared_bytes(const Comparison& c) { return sizeof(float) * kAlignWarps * align_warp_floats(c); }

template <class Threads>
class AlignProgram {
 public:
  CMOW_DEVICE AlignProgram(const DevicePairs& batch, float* memory, Threads& threads)
      : batch_(batch), c_(batch.comparison), memory_(memory), threads_(threads) {}

  /// Half `index` of 2 Q: pair index / 2, its first or second sentence.
  CMOW_DEVICE void run(int64_t index) {
    own_ = sentence_at(index);
    other_ = sentence_at(index ^ 1);
    float* const pooled = batch_.pooled + index * 2 * static_cast<int64_t>(c_.size);
    if (own_.count < 0 || other_.count < 0) return write_nan(pooled);
    clear_sums();
    for (int64_t first = 0; first < own_.count; first += kAlignWarps) {
      clear_attended();
      for (int64_t other = 0; other < other_.count; other += 32) attend(first, other);
      compare(first);
    }
    pool(pooled);
  }

 private:
  /// Rows of keys and values; a negative count where the pair or its offsets do not fit.
  struct Span {
    int64_t start, count;
  };

  CMOW_DEVICE Span sentence_at(int64_t half) const {
    const int64_t s = batch_.pairs[half];
    if (s < 0 || s >= batch_.sentences) {
      threads_.fault(make_fault(kBadPair, half / 2));
      return {0, -1};
    }
    const int64_t start = batch_.cu_seqlens[s], end = batch_.cu_seqlens[s + 1];
    if (start >= 0 && start <= end && end <= batch_.tokens) return {start, end - start};
    threads_.fault(make_fault(kBadOffset, s));
    return {0, -1};
  }

  static CMOW_DEVICE int lane_of(int thread) { return thread % 32; }
  CMOW_DEVICE int64_t token_of(int64_t first, int thread) const { return first + thread / 32; }
  CMOW_DEVICE int k() const { return static_cast<int>(c_.value_size); }
  CMOW_DEVICE int h() const { return static_cast<int>(c_.size); }

  CMOW_DEVICE float* weights(int thread) const { return memory_ + static_cast<size_t>(thread / 32) * align_warp_floats(c_); }
  CMOW_DEVICE float* attended(int thread) const { return weights(thread) + 32; }
  CMOW_DEVICE float* features(int thread) const { return attended(thread) + k(); }
  CMOW_DEVICE float* sums(int thread) const { return features(thread) + 4 * k(); }

  CMOW_DEVICE void write_nan(float* pooled) {
    threads_.block([&](AlignLane&, int thread) {
      for (int i = thread; i < 2 * h(); i += kAlignThreads) pooled[i] = NAN;
    });
  }

  CMOW_DEVICE void clear_sums() {
    threads_.warps([&](AlignLane&, int thread) {
      for (int i = lane_of(thread); i < 2 * h(); i += 32) sums(thread)[i] = 0.0f;
    });
  }

  CMOW_DEVICE void clear_attended() {
    threads_.warps([&](AlignLane& lane, int thread) {
      lane.largest = -FLT_MAX;
      lane.sum = 0.0f;
      for (int i = lane_of(thread); i < k(); i += 32) attended(thread)[i] = 0.0f;
    });
  }

  /// Adds the other tokens from `other` on, 32 at most, to what the tokens from `first` on attend to.
  CMOW_DEVICE void attend(int64_t first, int64_t other) {
    const int count = static_cast<int>(other_.count - other < 32 ? other_.count - other : 32);
    threads_.warps([&](AlignLane&, int thread) {
      const int64_t own = token_of(first, thread);
      if (own < own_.count && lane_of(thread) < count) weights(thread)[lane_of(thread)] = logit(own, other + lane_of(thread));
    });
    threads_.warps([&](AlignLane& lane, int thread) {
      if (token_of(first, thread) >= own_.count) return;
      float largest = lane.largest;
      for (int j = 0; j < count; ++j) largest = fmaxf(largest, weights(thread)[j]);
      lane.rescale = expf(lane.largest - largest);
      lane.largest = largest;
    });
    threads_.warps([&](AlignLane& lane, int thread) {
      float* const weight = weights(thread) + lane_of(thread);
      if (token_of(first, thread) < own_.count && lane_of(thread) < count) *weight = expf(*weight - lane.largest);
    });
    threads_.warps([&](AlignLane& lane, int thread) {
      if (token_of(first, thread) < own_.count) add_values(lane, thread, other, count);
    });
  }

  CMOW_DEVICE float logit(int64_t own, int64_t other) const {
    const int64_t q = static_cast<int64_t>(c_.key_size);
    const float *left = batch_.keys + (own_.start + own) * q, *right = batch_.keys + (other_.start + other) * q;
    float sum = 0.0f;
    for (int64_t i = 0; i < q; ++i) sum += left[i] * right[i];
    return sum;
  }

  CMOW_DEVICE void add_values(AlignLane& lane, int thread, int64_t other, int count) const {
    float sum = 0.0f;
    for (int j = 0; j < count; ++j) sum += weights(thread)[j];
    lane.sum = lane.sum * lane.rescale + sum;
    const float* const values = batch_.values + (other_.start + other) * k();
    for (int c = lane_of(thread); c < k(); c += 32) {
      float attending = attended(thread)[c] * lane.rescale;
      for (int j = 0; j < count; ++j) attending += weights(thread)[j] * values[static_cast<int64_t>(j) * k() + c];
      attended(thread)[c] = attending;
    }
  }

  CMOW_DEVICE void compare(int64_t first) {
    threads_.warps([&](AlignLane& lane, int thread) {
      if (token_of(first, thread) < own_.count) write_features(lane, thread, token_of(first, thread));
    });
    threads_.warps([&](AlignLane&, int thread) {
      if (token_of(first, thread) >= own_.count) return;
      for (int c = lane_of(thread); c < h(); c += 32) add_comparison(thread, c);
    });
  }

  CMOW_DEVICE void write_features(const AlignLane& lane, int thread, int64_t own) const {
    const float inverse = lane.sum > 0.0f ? 1.0f / lane.sum : 0.0f;  // no other token: attends to zero
    const float* const values = batch_.values + (own_.start + own) * k();
    float* const to = features(thread);
    for (int c = lane_of(thread); c < k(); c += 32) {
      const float u = values[c], v = attended(thread)[c] * inverse;
      to[c] = u;
      to[k() + c] = v;
      to[2 * k() + c] = fabsf(u - v);
      to[3 * k() + c] = u * v;
    }
  }

  CMOW_DEVICE void add_comparison(int thread, int column) const {
    float sum = 0.0f;
    for (int i = 0; i < 4 * k(); ++i) sum += features(thread)[i] * c_.weight[static_cast<int64_t>(i) * h() + column];
    sum += c_.bias[column];
    const float compared = sum < 0.0f ? 0.0f : sum;  // a NaN stays
    sums(thread)[column] += compared;
    float& largest = sums(thread)[h() + column];
    largest = compared > largest || isnan(compared) ? compared : largest;
  }

  CMOW_DEVICE void pool(float* pooled) {
    threads_.block([&](AlignLane&, int) {});
    threads_.block([&](AlignLane&, int thread) {
      const float mean = 1.0f / static_cast<float>(own_.count > 1 ? own_.count : 1);
      for (int c = thread; c < h(); c += kAlignThreads) {
        float sum = 0.0f, largest = 0.0f;
        for (int warp = 0; warp < kAlignWarps; ++warp) {
          const float* const of_warp = sums(32 * warp);
          sum += of_warp[c];
          largest = of_warp[h() + c] > largest || isnan(of_warp[h() + c]) ? of_warp[h() + c] : largest;
        }
        pooled[c] = sum * mean;
        pooled[h() + c] = largest;
      }
    });
  }

  const DevicePairs& batch_;
  const Comparison& c_;
  float* const memory_;
  Threads& threads_;
  Span own_ = {0, 0}, other_ = {0, 0};
};

}  // namespace cmow
