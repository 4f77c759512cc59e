// How a batch of pairs is divided among the threads of a pool.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "align_pairs.h"

namespace cmow {

/// Packed sentences, the pairs of them to align, and where the result goes. All sizes are valid, values padded (see align_pairs.h).
struct PairBatch {
  const float* keys;          // [N, q]
  const float* values;        // [N, k]
  const int64_t* cu_seqlens;  // [B + 1]
  const int64_t* pairs;       // [Q, 2]
  int64_t count;              // Q
  float* pooled;              // [Q, 2, 2 columns]
  size_t columns;             // of the result, at most h: without the padding
};

/// The work on one batch: run every worker, in any order and on any thread, then `join`.
///
/// A worker takes the next segment until none is left. A sentence longer than kSegment tokens is cut into segments, whose sums and
/// maxima are joined afterwards. Where it is cut depends on its own length alone, so a pair's result is the same bits in any batch
/// and with any number of threads.
class AlignSchedule {
 public:
  static constexpr size_t kSegment = 256;        // tokens
  static constexpr double kWorkerWork = 2.0e6;   // multiplications worth a thread, about 40 us

  AlignSchedule(const AlignKernel& kernel, const Comparison& comparison, const PairBatch& batch);

  size_t workers() const { return workers_; }
  void work(size_t worker) noexcept;
  void join() const noexcept;

 private:
  struct Segment {
    Tokens own, other;
    float* sums;   // [2 h], where the part of a long sentence goes; null for a whole one
    int64_t half;  // row of the result as [2 Q, 2 columns]; the pair's other sentence is at half ^ 1
  };
  struct LongHalf {
    const float* sums;  // [segments, 2 h]
    size_t segments, tokens;
    int64_t half;
  };

  Tokens sentence_of(int64_t half) const;
  size_t count_long_segments() const;
  size_t worker_count() const;
  void add_half(int64_t half, float*& sums);
  void write(const float* sums, size_t segments, size_t tokens, int64_t half) const noexcept;

  const AlignKernel& kernel_;
  const Comparison& comparison_;
  const PairBatch& batch_;
  std::vector<Segment> segments_;
  std::vector<LongHalf> long_halves_;
  std::unique_ptr<float[]> long_sums_;
  std::unique_ptr<float[]> scratch_;
  const size_t scratch_size_;  // of one worker, in floats
  size_t workers_;
  std::atomic<size_t> next_{0};
};

}  // namespace cmow
