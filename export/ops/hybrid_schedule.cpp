#include "hybrid_schedule.h"

namespace cmow {

Schedule::Schedule(const Kernel& kernel, const Tables& tables, const int32_t* token_ids, const int64_t* cu_seqlens,
                   int64_t sentences, float* out)
    : kernel_(kernel), tables_(tables), row_size_(static_cast<size_t>(tables.vector_size + 2 * tables.side * tables.side)) {
  add_segments(token_ids, cu_seqlens, sentences, out);
  add_tasks(cu_seqlens[sentences]);
}

void Schedule::add_segments(const int32_t* token_ids, const int64_t* cu_seqlens, int64_t sentences, float* out) {
  const auto chunks_of = [](int64_t length) { return static_cast<size_t>((length + kChunk - 1) / kChunk); };
  size_t chunks = 0;
  for (int64_t s = 0; s < sentences; ++s) {
    const int64_t length = cu_seqlens[s + 1] - cu_seqlens[s];
    if (length > kChunk) chunks += chunks_of(length);
  }
  if (chunks > 0) chunk_rows_.reset(new float[chunks * row_size_]);
  segments_.reserve(static_cast<size_t>(sentences) + chunks);

  float* chunk_row = chunk_rows_.get();
  for (int64_t s = 0; s < sentences; ++s) {
    const int32_t *begin = token_ids + cu_seqlens[s], *end = token_ids + cu_seqlens[s + 1];
    float* row = out + static_cast<size_t>(s) * row_size_;
    if (end - begin <= kChunk) {
      segments_.push_back({begin, end, row, true});
      continue;
    }
    long_sentences_.push_back({chunk_row, chunks_of(end - begin), end - begin, row});
    for (; begin < end; begin += kChunk, chunk_row += row_size_)
      segments_.push_back({begin, end - begin > kChunk ? begin + kChunk : end, chunk_row, false});
  }
}

void Schedule::add_tasks(int64_t tokens) {
  tasks_.reserve(static_cast<size_t>(tokens / kTaskTokens + 2));
  for (size_t first = 0; first < segments_.size();) {
    size_t last = first + 1;
    while (last < segments_.size() && segments_[last].end - segments_[first].begin < kTaskTokens) ++last;
    tasks_.push_back({first, last - first, kBoth});
    first = last;
  }
  if (tasks_.size() == 1 && tokens >= kSplitTokens) {
    tasks_.push_back(tasks_[0]);
    tasks_[0].parts = kForward;
    tasks_[1].parts = kBackward;
  }
}

void Schedule::encode(size_t task) const noexcept {
  const Task& t = tasks_[task];
  kernel_.encode(tables_, segments_.data() + t.first, t.count, t.parts);
}

void Schedule::join(size_t task) const noexcept {
  const LongSentence& s = long_sentences_[task / 2];
  kernel_.join(tables_, s.chunk_rows, s.chunks, s.length, task % 2 == 0 ? kForward : kBackward, s.row);
}

}  // namespace cmow
