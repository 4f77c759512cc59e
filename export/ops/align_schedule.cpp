#include "align_schedule.h"

#include <algorithm>
#include <thread>

namespace cmow {
namespace {

size_t segments_of(size_t tokens) { return (tokens + AlignSchedule::kSegment - 1) / AlignSchedule::kSegment; }

}  // namespace

AlignSchedule::AlignSchedule(const AlignKernel& kernel, const Comparison& comparison, const PairBatch& batch)
    : kernel_(kernel), comparison_(comparison), batch_(batch), scratch_size_(align_scratch_size(comparison) + 2 * comparison.size) {
  const size_t long_segments = count_long_segments();
  if (long_segments > 0) long_sums_.reset(new float[long_segments * 2 * comparison.size]);
  segments_.reserve(static_cast<size_t>(2 * batch.count) + long_segments);
  float* sums = long_sums_.get();
  for (int64_t half = 0; half < 2 * batch.count; ++half) add_half(half, sums);
  workers_ = worker_count();
  if (workers_ > 0) scratch_.reset(new float[workers_ * scratch_size_]);
}

Tokens AlignSchedule::sentence_of(int64_t half) const {
  const int64_t* bounds = batch_.cu_seqlens + batch_.pairs[half];
  const size_t start = static_cast<size_t>(bounds[0]), count = static_cast<size_t>(bounds[1] - bounds[0]);
  return {batch_.keys + start * comparison_.key_size, batch_.values + start * comparison_.value_size, count};
}

size_t AlignSchedule::count_long_segments() const {
  size_t segments = 0;
  for (int64_t half = 0; half < 2 * batch_.count; ++half) {
    const size_t tokens = sentence_of(half).count;
    if (tokens > kSegment) segments += segments_of(tokens);
  }
  return segments;
}

void AlignSchedule::add_half(int64_t half, float*& sums) {
  const Tokens own = sentence_of(half), other = sentence_of(half ^ 1);
  if (own.count <= kSegment) {
    segments_.push_back({own, other, nullptr, half});
    return;
  }
  long_halves_.push_back({sums, segments_of(own.count), own.count, half});
  for (size_t first = 0; first < own.count; first += kSegment, sums += 2 * comparison_.size) {
    const Tokens part = {own.keys + first * comparison_.key_size, own.values + first * comparison_.value_size,
                         std::min(own.count - first, kSegment)};
    segments_.push_back({part, other, sums, half});
  }
}

size_t AlignSchedule::worker_count() const {
  const Comparison& c = comparison_;
  double work = 0.0;
  for (const Segment& s : segments_)
    work += static_cast<double>(s.own.count) * static_cast<double>(4 * c.value_size * c.size + s.other.count * (c.key_size + c.value_size));
  const size_t worth = static_cast<size_t>(std::min(work / kWorkerWork, 1.0e6)) + 1;
  const size_t threads = std::max(std::thread::hardware_concurrency(), 1u);
  return std::min({worth, threads, segments_.size()});
}

void AlignSchedule::work(size_t worker) noexcept {
  float* const scratch = scratch_.get() + worker * scratch_size_;
  float* const own_sums = scratch + align_scratch_size(comparison_);
  for (size_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < segments_.size();) {
    const Segment& segment = segments_[i];
    float* const sums = segment.sums != nullptr ? segment.sums : own_sums;
    kernel_.align(comparison_, segment.own, segment.other, sums, scratch);
    if (segment.sums == nullptr) write(sums, 1, segment.own.count, segment.half);
  }
}

void AlignSchedule::join() const noexcept {
  for (const LongHalf& half : long_halves_) write(half.sums, half.segments, half.tokens, half.half);
}

void AlignSchedule::write(const float* sums, size_t segments, size_t tokens, int64_t half) const noexcept {
  const size_t columns = batch_.columns, h = comparison_.size;
  float* const out = batch_.pooled + static_cast<size_t>(half) * 2 * columns;
  const double count = static_cast<double>(std::max<size_t>(tokens, 1));
  for (size_t c = 0; c < columns; ++c) {
    double sum = 0.0;
    float largest = 0.0f;  // comparisons are not negative
    for (size_t s = 0; s < segments; ++s) {
      sum += static_cast<double>(sums[s * 2 * h + c]);
      largest = std::max(largest, sums[s * 2 * h + h + c]);
    }
    out[c] = static_cast<float>(sum / count);
    out[columns + c] = largest;
  }
}

}  // namespace cmow
