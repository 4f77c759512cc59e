// The C ABI that training/kernels/native.py calls: threads, scratch memory and the order of summation. Arguments are checked there.
//
// Letters: B sentences, N packed tokens, V vocabulary, d matrix side, e vector size, D = e + 2 d^2, U distinct tokens.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "kernels.h"

#define CMOW_EXPORT extern "C" __attribute__((visibility("default")))

struct Batch {
  const int64_t* token_ids;      // [N]
  const int64_t* cu_seqlens;     // [B + 1]
  int64_t sentences;             // B
  const float* vectors;          // [V, e]
  const float* forward_deltas;   // [V, d, d]
  const float* backward_deltas;  // [V, d, d]
  int64_t vector_dim;            // e
  int64_t matrix_dim;            // d
};

struct RowGradients {
  const int64_t* order;       // [N] positions of the tokens, sorted by token id, stable
  const int64_t* row_starts;  // [U + 1] where each distinct token begins in `order`
  int64_t rows;               // U
  float* vectors;             // [U, e]
  float* forward_deltas;      // [U, d, d]
  float* backward_deltas;     // [U, d, d]
};

namespace {

enum Status : int { kOk = 0, kOutOfMemory = 1, kFailed = 2 };

// The best instruction set of this machine, or the one that the environment variable CMOW_ISA names; null where the machine
// does not have that one.
const Kernels* choose_kernels() {
  std::vector<const Kernels*> supported;
#if defined(CMOW_X86)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  if (avx512) supported.push_back(&kernels_avx512());
  if (avx2) supported.push_back(&kernels_avx2());
#endif
  supported.push_back(&kernels_portable());
  const char* wanted = std::getenv("CMOW_ISA");
  if (wanted == nullptr || *wanted == '\0') return supported.front();
  for (const Kernels* candidate : supported)
    if (std::strcmp(candidate->isa, wanted) == 0) return candidate;
  return nullptr;
}

const Kernels* chosen_kernels() {
  static const Kernels* const chosen = choose_kernels();
  return chosen;
}

const Kernels& kernels() { return *chosen_kernels(); }

// Uninitialised floats on a cache line's boundary.
class Floats {
 public:
  explicit Floats(int64_t size) : data_(static_cast<float*>(::operator new(size * sizeof(float), kAlignment))) {}
  ~Floats() { ::operator delete(data_, kAlignment); }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;
  float* data() const { return data_; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  float* data_;
};

// Hands out the numbers below `count` in portions; what each of them does must not depend on who gets it.
class Tasks {
 public:
  Tasks(int64_t count, int64_t portion) : count_(count), portion_(portion) {}
  int64_t portions() const { return (count_ + portion_ - 1) / portion_; }

  template <typename Body>
  void drain(Body body) {
    for (int64_t begin; (begin = next_.fetch_add(portion_)) < count_;)
      for (int64_t task = begin; task < std::min(begin + portion_, count_); ++task) body(task);
  }

 private:
  const int64_t count_, portion_;
  std::atomic<int64_t> next_{0};
};

// Runs worker() on at most `threads` threads, the caller's included; the first exception of any is thrown after all ended.
template <typename Worker>
void run_parallel(const Tasks& tasks, int threads, Worker worker) {
  std::exception_ptr failure;
  std::mutex failure_lock;
  const auto guarded = [&] {
    try {
      worker();
    } catch (...) {
      const std::lock_guard<std::mutex> guard(failure_lock);
      if (!failure) failure = std::current_exception();
    }
  };
  std::vector<std::thread> helpers;
  const int64_t wanted = std::min<int64_t>(threads, tasks.portions()) - 1;
  try {
    for (int64_t i = 0; i < wanted; ++i) helpers.emplace_back(guarded);
  } catch (...) {
    // Fewer threads than wanted are slower, not wrong: the tasks are shared by those that started.
  }
  guarded();
  for (std::thread& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
}

template <typename Body>
int guard_boundary(Body body) noexcept {
  try {
    body();
    return kOk;
  } catch (const std::bad_alloc&) {
    return kOutOfMemory;
  } catch (...) {
    return kFailed;
  }
}

int64_t length(const Batch& batch, int64_t sentence) {
  return batch.cu_seqlens[sentence + 1] - batch.cu_seqlens[sentence];
}

int64_t embedding_dim(const Batch& batch) { return batch.vector_dim + 2 * batch.matrix_dim * batch.matrix_dim; }

// Where the matrices of a direction begin in an embedding.
int64_t matrix_offset(const Batch& batch, bool reversed) {
  return batch.vector_dim + (reversed ? batch.matrix_dim * batch.matrix_dim : 0);
}

Chain chain_of(const Batch& batch, int64_t sentence, bool reversed) {
  return {batch.token_ids + batch.cu_seqlens[sentence], length(batch, sentence),
          reversed ? batch.backward_deltas : batch.forward_deltas, static_cast<int>(batch.matrix_dim), reversed};
}

void encode(const Batch& batch, int64_t sentence, bool reversed, float* embeddings, float* scratch) {
  const Chain chain = chain_of(batch, sentence, reversed);
  float* row = embeddings + sentence * embedding_dim(batch);
  kernels().chain_product(chain, row + matrix_offset(batch, reversed), scratch);
  if (!reversed) kernels().mean_rows(chain.token_ids, chain.length, batch.vectors, batch.vector_dim, row);
}

void encode_states(const Batch& batch, int64_t sentence, bool reversed, float* states, float* scratch) {
  const Chain chain = chain_of(batch, sentence, reversed);
  const int64_t D = embedding_dim(batch), e = batch.vector_dim;
  float* rows = states + batch.cu_seqlens[sentence] * D;
  kernels().chain_states(chain, rows + matrix_offset(batch, reversed), D, scratch);
  if (reversed) return;
  for (int64_t i = 0; i < chain.length; ++i)
    std::memcpy(rows + i * D, batch.vectors + chain.token_ids[i] * e, sizeof(float) * e);
}

// A block of sentences whose matrix gradients are held token by token before they are summed into rows: large enough to keep
// every thread busy, small enough for the last-level cache. It does not depend on the number of threads.
constexpr int64_t kBlockTokens = 2048;

struct Block {
  int64_t first, last;  // sentences [first, last)
};

Block block_from(const Batch& batch, int64_t first) {
  int64_t last = first + 1;
  while (last < batch.sentences && batch.cu_seqlens[last + 1] - batch.cu_seqlens[first] <= kBlockTokens) ++last;
  return {first, last};
}

class Backward {
 public:
  Backward(const Batch& batch, bool per_token, const float* grad, const RowGradients& rows, int threads)
      : batch_(batch), per_token_(per_token), grad_(grad), rows_(rows), threads_(threads),
        size_(batch.matrix_dim * batch.matrix_dim), next_(rows.row_starts, rows.row_starts + rows.rows),
        occurrences_(2 * size_ * largest_block()), sentence_of_(batch.cu_seqlens[batch.sentences]) {
    for (int64_t sentence = 0; sentence < batch.sentences; ++sentence)
      std::fill_n(sentence_of_.begin() + batch.cu_seqlens[sentence], length(batch, sentence), sentence);
  }

  void run() {
    for (int64_t sentence = 0; sentence < batch_.sentences;) {
      const Block block = block_from(batch_, sentence);
      differentiate(block);
      reduce(block);
      sentence = block.last;
    }
  }

 private:
  int64_t largest_block() const {
    int64_t largest = 0;
    for (int64_t sentence = 0; sentence < batch_.sentences;) {
      const Block block = block_from(batch_, sentence);
      largest = std::max(largest, batch_.cu_seqlens[block.last] - batch_.cu_seqlens[block.first]);
      sentence = block.last;
    }
    return largest;
  }

  // Fills occurrences_ [tokens of the block, 2, d, d], transposed.
  void differentiate(const Block& block) {
    int64_t longest = 0;
    for (int64_t sentence = block.first; sentence < block.last; ++sentence)
      longest = std::max(longest, length(batch_, sentence));
    Tasks tasks(2 * (block.last - block.first), 2);
    run_parallel(tasks, threads_, [&] {
      const Floats scratch((longest + 2) * size_ + longest);
      tasks.drain([&](int64_t task) { differentiate(block, block.first + task / 2, task % 2 == 1, scratch.data()); });
    });
  }

  void differentiate(const Block& block, int64_t sentence, bool reversed, float* scratch) const {
    const int64_t D = embedding_dim(batch_), begin = batch_.cu_seqlens[sentence];
    const float* grad = grad_ + (per_token_ ? begin : sentence) * D + matrix_offset(batch_, reversed);
    float* out = occurrences_.data() + (2 * (begin - batch_.cu_seqlens[block.first]) + reversed) * size_;
    kernels().chain_backward(chain_of(batch_, sentence, reversed), grad, per_token_ ? D : 0, out, 2 * size_, scratch);
  }

  // Adds the block's occurrences to their rows, in the order of the tokens whatever the number of threads.
  void reduce(const Block& block) {
    const int64_t begin = batch_.cu_seqlens[block.first], end = batch_.cu_seqlens[block.last];
    Tasks tasks(rows_.rows, 64);
    run_parallel(tasks, threads_, [&] {
      tasks.drain([&](int64_t row) {
        while (next_[row] < rows_.row_starts[row + 1] && rows_.order[next_[row]] < end) {
          add_occurrence(row, rows_.order[next_[row]], begin);
          if (++next_[row] == rows_.row_starts[row + 1]) finish(row);
        }
      });
    });
  }

  void add_occurrence(int64_t row, int64_t token, int64_t block_begin) const {
    const bool first = next_[row] == rows_.row_starts[row];
    const float* matrices = occurrences_.data() + 2 * (token - block_begin) * size_;
    const int64_t grad_row = per_token_ ? token : sentence_of_[token], e = batch_.vector_dim;
    const float share = per_token_ ? 1.0f : 1.0f / static_cast<float>(length(batch_, grad_row));
    if (first) std::memset(rows_.vectors + row * e, 0, sizeof(float) * e);
    kernels().add_scaled(rows_.vectors + row * e, grad_ + grad_row * embedding_dim(batch_), share, e);
    add_matrix(rows_.forward_deltas + row * size_, matrices, first);
    add_matrix(rows_.backward_deltas + row * size_, matrices + size_, first);
  }

  void add_matrix(float* sum, const float* matrix, bool first) const {
    if (first) {
      std::memcpy(sum, matrix, sizeof(float) * size_);
    } else {
      kernels().add_scaled(sum, matrix, 1, size_);
    }
  }

  void finish(int64_t row) const {
    kernels().transpose(rows_.forward_deltas + row * size_, static_cast<int>(batch_.matrix_dim));
    kernels().transpose(rows_.backward_deltas + row * size_, static_cast<int>(batch_.matrix_dim));
  }

  const Batch& batch_;
  const bool per_token_;
  const float* grad_;
  const RowGradients& rows_;
  const int threads_;
  const int64_t size_;          // d^2
  std::vector<int64_t> next_;   // [U] the place in `order` of each row's next occurrence
  const Floats occurrences_;
  std::vector<int64_t> sentence_of_;  // [N]
};

}  // namespace

// "avx512", "avx2" or "portable"; null where CMOW_ISA names none that this machine has: then nothing else may be called.
CMOW_EXPORT const char* cmow_training_isa() { return chosen_kernels() == nullptr ? nullptr : chosen_kernels()->isa; }

// out: embeddings [B, D], or with per_token states [N, D].
CMOW_EXPORT int cmow_training_forward(const Batch* batch, int per_token, float* out, int threads) {
  return guard_boundary([&] {
    Tasks tasks(2 * batch->sentences, 8);
    run_parallel(tasks, threads, [&] {
      const Floats scratch(2 * batch->matrix_dim * batch->matrix_dim);
      tasks.drain([&](int64_t task) {
        (per_token ? encode_states : encode)(*batch, task / 2, task % 2 == 1, out, scratch.data());
      });
    });
  });
}

// grad: of embeddings [B, D], or with per_token of states [N, D].
CMOW_EXPORT int cmow_training_backward(const Batch* batch, int per_token, const float* grad, const RowGradients* rows,
                                       int threads) {
  return guard_boundary([&] { Backward(*batch, per_token != 0, grad, *rows, threads).run(); });
}

// weights, first, second: [V, width]; grads [rows, width] belongs to the distinct rows row_ids [rows].
CMOW_EXPORT int cmow_training_adam_rows(float* weights, float* first, float* second, const float* grads,
                                        const int64_t* row_ids, int64_t rows, int64_t width,
                                        const AdamCoefficients* coefficients, int threads) {
  return guard_boundary([&] {
    Tasks tasks(rows, 64);
    run_parallel(tasks, threads, [&] {
      tasks.drain([&](int64_t row) {
        const int64_t at = row_ids[row] * width;
        kernels().adam_row(weights + at, first + at, second + at, grads + row * width, width, *coefficients);
      });
    });
  });
}
