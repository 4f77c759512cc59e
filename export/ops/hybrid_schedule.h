// How a packed batch is divided into tasks for a thread pool.
#pragma once

#include <memory>
#include <vector>

#include "hybrid_encode.h"

namespace cmow {

/// The tasks of one batch: first every encode task, in any order and on any thread, then every join task.
///
/// Sentences longer than kChunk tokens are cut into chunks of kChunk, whose products are joined afterwards. Where a sentence is
/// cut depends on its own length alone, so its result is the same bits in any batch and with any number of threads.
class Schedule {
 public:
  static constexpr int64_t kChunk = 256;      // tokens
  static constexpr int64_t kTaskTokens = 192;  // enough work (about 70 us) to be worth a task
  static constexpr int64_t kSplitTokens = 128;  // a single task of at least this many is split into its two directions

  /// `token_ids` [N] in [0, V), `cu_seqlens` [B + 1] valid; `out` [B, e + 2 d d]. All must outlive the schedule.
  Schedule(const Kernel& kernel, const Tables& tables, const int32_t* token_ids, const int64_t* cu_seqlens, int64_t sentences,
           float* out);

  size_t encode_tasks() const { return tasks_.size(); }
  size_t join_tasks() const { return 2 * long_sentences_.size(); }
  void encode(size_t task) const noexcept;
  void join(size_t task) const noexcept;

 private:
  struct Task {
    size_t first, count;  // segments
    Parts parts;
  };
  struct LongSentence {
    const float* chunk_rows;
    size_t chunks;
    int64_t length;
    float* row;
  };

  void add_segments(const int32_t* token_ids, const int64_t* cu_seqlens, int64_t sentences, float* out);
  void add_tasks(int64_t tokens);

  const Kernel& kernel_;
  const Tables& tables_;
  const size_t row_size_;
  std::vector<Segment> segments_;
  std::vector<Task> tasks_;
  std::vector<LongSentence> long_sentences_;
  std::unique_ptr<float[]> chunk_rows_;
};

}  // namespace cmow
