#include "pairs_schedule.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace cmow {
namespace {

constexpr size_t kCacheLine = 64;

size_t whole_lines(size_t bytes) { return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine; }

std::byte* aligned(std::byte* from) {
  return from + (kCacheLine - reinterpret_cast<uintptr_t>(from) % kCacheLine) % kCacheLine;
}

/// Hands out parts of memory, or without memory counts what it would take.
class Memory {
 public:
  explicit Memory(std::byte* start) : start_(start) {}

  std::byte* bytes(size_t count) {
    std::byte* const part = start_ == nullptr ? nullptr : start_ + used_;
    used_ += whole_lines(count);
    return part;
  }
  float* floats(size_t count) { return reinterpret_cast<float*>(bytes(count * sizeof(float))); }
  size_t used() const { return used_; }

 private:
  std::byte* const start_;
  size_t used_ = 0;
};

size_t segments_of(size_t rows) { return (rows + PairSchedule::kSegment - 1) / PairSchedule::kSegment; }

}  // namespace

PairSchedule::PairSchedule(const PairKernel& kernel, const PairModel& model, const PairTokens& tokens)
    : kernel_(kernel), model_(model), tokens_(tokens), scratch_size_(whole_lines(kernel.scratch_size(model) * sizeof(float))) {
  for (int64_t pair = 0; pair < tokens.count; ++pair) add_pair(pair);
  workers_ = std::max(workers_, workers_for(short_work_, short_pairs_.size()));
  if (workers_ > 0) memory_.reset(new std::byte[workers_ * (scratch_size_ + memory_size_) + kCacheLine]);
}

void PairSchedule::add_pair(int64_t pair) {
  const size_t rows = rows_of(pair);
  if (rows > kLongRows) {
    long_pairs_.push_back(pair);
    workers_ = std::max(workers_, workers_for(work_of(pair), segments_of(rows)));
    return;
  }
  short_pairs_.push_back(pair);
  short_work_ += work_of(pair);
  memory_size_ = std::max(memory_size_, state_size(pair));
}

size_t PairSchedule::count_of(int64_t pair, size_t side) const {
  const int64_t* const bounds = tokens_.cu_seqlens + tokens_.pairs[2 * pair + static_cast<int64_t>(side)];
  return static_cast<size_t>(bounds[1] - bounds[0]);
}

double PairSchedule::work_of(int64_t pair) const {
  const double w = static_cast<double>(model_.width), q = static_cast<double>(model_.key_size);
  const double first = static_cast<double>(count_of(pair, 0)), second = static_cast<double>(count_of(pair, 1));
  return static_cast<double>(model_.block_count) * ((first + second) * w * (7 * w + q) + 8 * first * second * (q + w));
}

size_t PairSchedule::workers_for(double work, size_t tasks) const {
  const size_t worth = std::min(static_cast<size_t>(std::min(work / kWorkerWork, 1.0e6)) + 1, tasks);
  if (worth <= 1) return worth;  // without asking the system, which takes a microsecond
  return std::min(worth, static_cast<size_t>(std::max(std::thread::hardware_concurrency(), 1u)));
}

PairState PairSchedule::state_of(int64_t pair, std::byte* memory, size_t& size) const {
  const size_t w = model_.width, q = model_.key_size, rows = rows_of(pair);
  Memory parts(memory);
  PairState state{};
  for (size_t side = 0; side < 2; ++side) {
    state.token_ids[side] = tokens_.token_ids + tokens_.cu_seqlens[tokens_.pairs[2 * pair + static_cast<int64_t>(side)]];
    state.counts[side] = count_of(pair, side);
    state.features[side] = parts.floats(rows * w);
    state.rounded[side] = parts.bytes((rows + 2) * w * kernel_.activation_size);
    state.row_scales[side] = parts.floats(rows + 2);
    state.key_strips[side] = parts.floats(strips_of(state.counts[side]) * q * kStrip);
  }
  state.keys = parts.floats(rows * q);
  size = parts.used();
  return state;
}

size_t PairSchedule::state_size(int64_t pair) const {
  size_t size = 0;
  state_of(pair, nullptr, size);
  return size;
}

float* PairSchedule::scratch_of(size_t worker) const {
  return reinterpret_cast<float*>(aligned(memory_.get()) + worker * (scratch_size_ + memory_size_));
}

std::byte* PairSchedule::memory_of(size_t worker) const {
  return aligned(memory_.get()) + worker * (scratch_size_ + memory_size_) + scratch_size_;
}

void PairSchedule::run(const RunTasks& run_tasks) {
  run_step(run_tasks, Step::kPairs, workers_for(short_work_, short_pairs_.size()), short_pairs_.size());
  for (const int64_t pair : long_pairs_) encode_long_pair(run_tasks, pair);
}

void PairSchedule::run_step(const RunTasks& run_tasks, Step step, size_t workers, size_t tasks) {
  step_ = step;
  tasks_ = tasks;
  next_.store(0, std::memory_order_relaxed);
  run_tasks(workers, [](void* self, size_t worker) { static_cast<PairSchedule*>(self)->work(worker); }, this);
}

void PairSchedule::work(size_t worker) noexcept {
  for (size_t task; (task = next_.fetch_add(1, std::memory_order_relaxed)) < tasks_;) {
    if (step_ == Step::kPairs) encode_pair(short_pairs_[task], worker);
    else encode_segment(task, scratch_of(worker));
  }
}

void PairSchedule::encode_segment(size_t segment, float* scratch) const noexcept {
  const size_t first = segment * kSegment, last = std::min(first + kSegment, long_state_.rows());
  if (step_ == Step::kRead) kernel_.read(model_, long_state_, first, last, scratch);
  else if (step_ == Step::kMix) kernel_.mix(model_, *block_, long_state_, first, last, scratch);
  else kernel_.fuse(model_, *block_, long_state_, first, last, scratch);
}

void PairSchedule::encode_pair(int64_t pair, size_t worker) const noexcept {
  size_t size = 0;
  PairState state = state_of(pair, memory_of(worker), size);
  float* const scratch = scratch_of(worker);
  kernel_.read(model_, state, 0, state.rows(), scratch);
  for (size_t b = 0; b < model_.block_count; ++b) {
    kernel_.mix(model_, model_.blocks[b], state, 0, state.rows(), scratch);
    kernel_.fuse(model_, model_.blocks[b], state, 0, state.rows(), scratch);
    std::swap(state.features[0], state.features[1]);
  }
  write(pair, state, scratch);
}

void PairSchedule::encode_long_pair(const RunTasks& run_tasks, int64_t pair) {
  size_t size = state_size(pair);
  const std::unique_ptr<std::byte[]> memory(new std::byte[size + kCacheLine]);
  long_state_ = state_of(pair, aligned(memory.get()), size);
  const size_t segments = segments_of(long_state_.rows()), workers = workers_for(work_of(pair), segments);
  run_step(run_tasks, Step::kRead, workers, segments);
  for (size_t b = 0; b < model_.block_count; ++b) {
    block_ = model_.blocks + b;
    run_step(run_tasks, Step::kMix, workers, segments);
    run_step(run_tasks, Step::kFuse, workers, segments);
    std::swap(long_state_.features[0], long_state_.features[1]);
  }
  write(pair, long_state_, scratch_of(0));
}

void PairSchedule::write(int64_t pair, const PairState& state, float* scratch) const noexcept {
  float* const out = tokens_.pooled + static_cast<size_t>(pair) * 4 * model_.width;
  for (size_t side = 0; side < 2; ++side) kernel_.pool(model_, state, side, out + side * 2 * model_.width, scratch);
}

}  // namespace cmow
