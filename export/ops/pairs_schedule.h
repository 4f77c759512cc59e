// How a batch of pairs is divided among the threads of a pool.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "pairs_encoder.h"

namespace cmow {

/// Packed sentences, the pairs of them to encode, and where the result goes. All numbers that are places are valid.
struct PairTokens {
  const int64_t* token_ids;   // [N]
  const int64_t* cu_seqlens;  // [B + 1]
  const int64_t* pairs;       // [P, 2]
  int64_t count;              // P
  float* pooled;              // [P, 2, 2 w]
};

/// The work on one batch.
///
/// A worker takes the next pair until none is left. Of a pair of more than kLongRows tokens the workers take segments, one step
/// after the other. A row's result does not depend on where a pair is cut, so a pair's is the same bits in any batch and with any
/// number of threads.
class PairSchedule {
 public:
  static constexpr size_t kLongRows = 512;
  static constexpr size_t kSegment = 4 * kChunk;  // rows
  static constexpr double kWorkerWork = 8.0e6;    // multiplications worth a thread, about 50 us

  /// Calls task(data, 0 .. tasks - 1), on as many threads as there are.
  using RunTasks = std::function<void(size_t tasks, void (*task)(void* data, size_t index), void* data)>;

  PairSchedule(const PairKernel& kernel, const PairModel& model, const PairTokens& tokens);

  void run(const RunTasks& run_tasks);

 private:
  enum class Step { kPairs, kRead, kMix, kFuse };

  size_t count_of(int64_t pair, size_t side) const;
  size_t rows_of(int64_t pair) const { return count_of(pair, 0) + count_of(pair, 1) + 1; }
  double work_of(int64_t pair) const;
  size_t workers_for(double work, size_t tasks) const;
  void add_pair(int64_t pair);

  /// A pair's state in `memory`; `size` becomes the bytes that it takes. Without memory, only this.
  PairState state_of(int64_t pair, std::byte* memory, size_t& size) const;
  size_t state_size(int64_t pair) const;
  float* scratch_of(size_t worker) const;
  std::byte* memory_of(size_t worker) const;

  void run_step(const RunTasks& run_tasks, Step step, size_t workers, size_t tasks);
  void work(size_t worker) noexcept;
  void encode_segment(size_t segment, float* scratch) const noexcept;
  void encode_pair(int64_t pair, size_t worker) const noexcept;
  void encode_long_pair(const RunTasks& run_tasks, int64_t pair);
  void write(int64_t pair, const PairState& state, float* scratch) const noexcept;

  const PairKernel& kernel_;
  const PairModel& model_;
  const PairTokens& tokens_;
  std::vector<int64_t> short_pairs_, long_pairs_;
  double short_work_ = 0.0;
  size_t workers_ = 0;       // of any step, at most
  size_t scratch_size_;      // bytes
  size_t memory_size_ = 0;   // bytes, for the state of any short pair
  std::unique_ptr<std::byte[]> memory_;  // [workers_, scratch_size_ + memory_size_]

  Step step_ = Step::kPairs;
  size_t tasks_ = 0;
  std::atomic<size_t> next_{0};
  PairState long_state_{};
  const PairBlock* block_ = nullptr;
};

}  // namespace cmow
