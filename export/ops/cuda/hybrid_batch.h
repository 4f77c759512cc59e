// How a packed batch is divided into thread blocks, and what happens to wrong input.
//
// The host knows the number N of tokens and B of sentences, but not the lengths, which are in the memory of the device. So there is
// a block for each sentence, which does nothing where its sentence is longer than a chunk, and a block for each slot that
// a chunk of a longer sentence may have, which does nothing where there is none. A second launch multiplies the chunks' products:
// the slots are float32 tables of their own, so it is the same program with other rows.
//
// Input is checked where it is used, with no word to the host: a sentence whose offsets do not fit, or that has an id outside
// the tables, gets a row of NaN and a note in the fault record, and no address is ever computed from it. After a fault in the
// offsets, the rows of other sentences may hold any numbers.
#pragma once

#include "fault.h"
#include "hybrid_block.h"
#include "sentence.h"

namespace cmow {

constexpr int kSlotTokens = kChunk / 2;

/// A packed batch on the device.
struct DeviceBatch {
  const void* token_ids;      // [N] int64 or int32
  bool wide_ids;              // int64
  const int64_t* cu_seqlens;  // [B + 1]
  int64_t tokens, sentences;  // N, B
  Tables tables;
  int64_t vocabulary;  // V
  float* rows;         // [B, e + 2 d d], the result
};

/// What long sentences need beside: vectors [slots, e], forward and backward products [slots, d, d] less the identity.
struct Slots {
  float *vectors, *forward, *backward;
  int64_t count;
};

/// The first slot of a sentence that starts at `token`. One of n > kChunk tokens has at least ceil(n / kChunk) slots before
/// those of the next: windows of half a chunk that it reaches into, less one.
CMOW_DEVICE int64_t slot_of(int64_t token) { return token / kSlotTokens; }

/// Number of slots of a batch of `tokens`; none where no sentence can be longer than a chunk.
constexpr int64_t slot_count(int64_t tokens) { return tokens <= kChunk ? 0 : tokens / kSlotTokens + 1; }

constexpr size_t slot_floats(int side, int vector) { return static_cast<size_t>(vector + 2 * side * side); }

CMOW_DEVICE Sentence sentence_at(const DeviceBatch& batch, int64_t s) {
  return sentence_at(batch.cu_seqlens, batch.tokens, batch.sentences, s);
}

/// The last sentence whose first slot is not after `slot`: the only one that the slot may belong to.
CMOW_DEVICE int64_t sentence_of_slot(const DeviceBatch& batch, int64_t slot) {
  int64_t first = 0, after = batch.sentences;
  while (after - first > 1) {
    const int64_t middle = (first + after) / 2;
    if (slot_of(batch.cu_seqlens[middle]) <= slot) first = middle;
    else after = middle;
  }
  return first;
}

/// The two kinds of blocks. `Threads` has a `fault` to note what is wrong beside its phases, see hybrid_block.h.
template <TableType type, class Shape, class Threads>
class BatchProgram {
 public:
  CMOW_DEVICE BatchProgram(const DeviceBatch& batch, const Slots& slots, Shape shape, void* memory, Threads& threads)
      : batch_(batch), slots_(slots), shape_(shape), shared_(Shared::in(memory, shape)), threads_(threads) {}

  /// Block `index` of B + slots.count.
  CMOW_DEVICE void encode(int64_t index) {
    if (index < batch_.sentences) return encode_sentence(index);
    const int64_t slot = index - batch_.sentences, s = sentence_of_slot(batch_, slot);
    const Sentence sentence = sentence_at(batch_, s);
    const int64_t skipped = (slot - slot_of(sentence.start)) * kChunk;
    if (sentence.length <= kChunk || skipped < 0 || skipped >= sentence.length) return;
    const int64_t rest = sentence.length - skipped;
    encode_tokens(sentence.start + skipped, job_of_slot(slot, static_cast<int>(rest < kChunk ? rest : kChunk)));
  }

 private:
  CMOW_DEVICE void encode_sentence(int64_t s) {
    const Sentence sentence = sentence_at(batch_, s);
    if (!sentence.valid) threads_.fault(make_fault(kBadOffset, s));
    if (sentence.length > kChunk) return;
    const Job job = job_of_sentence(s, static_cast<int>(sentence.length), sentence.length);
    if (sentence.valid) encode_tokens(sentence.start, job);
    else write_nan(job);
  }

 public:
  /// The long sentence `s` from its chunks; nothing for others. `type` is float32, the tables of the batch are the slots.
  CMOW_DEVICE void join(int64_t s) {
    const Sentence sentence = sentence_at(batch_, s);
    if (sentence.length <= kChunk) return;
    const int64_t chunks = (sentence.length + kChunk - 1) / kChunk;
    const Job job = job_of_sentence(s, static_cast<int>(chunks), sentence.length);
    run(ConsecutiveRows{slot_of(sentence.start)}, job);
  }

 private:
  CMOW_DEVICE Job job_of_sentence(int64_t s, int count, int64_t length) const {
    const int size = shape_.side * shape_.side;
    float* const row = batch_.rows + s * (shape_.vector + 2 * size);
    const float mean = 1.0f / static_cast<float>(length > 1 ? length : 1);
    return {count, true, mean, row, row + shape_.vector, row + shape_.vector + size};
  }

  CMOW_DEVICE Job job_of_slot(int64_t slot, int count) const {
    const int size = shape_.side * shape_.side;
    return {count, false, 1.0f, slots_.vectors + slot * shape_.vector, slots_.forward + slot * size, slots_.backward + slot * size};
  }

  CMOW_DEVICE void encode_tokens(int64_t first, const Job& job) {
    threads_.block([&](auto&, int thread) {
      if (thread == 0) *shared_.bad = 0;
    });
    threads_.block([&](auto&, int thread) {
      for (int i = thread; i < job.count; i += Layout<Shape>::kThreads) read_id(first, i);
    });
    if (*shared_.bad) write_nan(job);
    else run(TokenRows{shared_.ids}, job);
  }

  CMOW_DEVICE void read_id(int64_t first, int i) {
    const int64_t id = batch_.wide_ids ? static_cast<const int64_t*>(batch_.token_ids)[first + i]
                                       : static_cast<const int32_t*>(batch_.token_ids)[first + i];
    shared_.ids[i] = static_cast<int32_t>(id);
    if (id >= 0 && id < batch_.vocabulary) return;
    *shared_.bad = 1;
    threads_.fault(make_fault(kBadId, first + i));
  }

  template <class Rows>
  CMOW_DEVICE void run(Rows rows, const Job& job) {
    BlockProgram<type, Shape, Rows, Threads>(batch_.tables, shape_, rows, job, shared_, threads_).run();
  }

  CMOW_DEVICE void write_nan(const Job& job) {
    threads_.block([&](auto&, int thread) {
      for (int i = thread; i < shape_.vector; i += Layout<Shape>::kThreads) job.vectors[i] = NAN;
      for (int i = thread; i < shape_.side * shape_.side; i += Layout<Shape>::kThreads) job.forward[i] = job.backward[i] = NAN;
    });
  }

  const DeviceBatch& batch_;
  const Slots& slots_;
  const Shape shape_;
  const Shared shared_;
  Threads& threads_;
};

}  // namespace cmow
