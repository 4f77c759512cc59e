// The thread blocks of export/ops/cuda on the host: threads are a loop. Tests compile it and call it through ctypes.
#include <vector>

#include "../../../export/ops/cuda/hybrid_batch.h"
#include "../../../export/ops/cuda/pairs_block.h"

namespace cmow {
namespace {

/// The threads of one block, phase after phase. Backwards in every second phase, so that a test would notice where a thread reads
/// in the same phase what another one writes.
template <class LaneState, int count>
struct HostThreads {
  std::vector<LaneState> lanes = std::vector<LaneState>(count);
  uint64_t fault_record = kNoFault;
  bool backwards = false;

  template <class Phase>
  void block(const Phase& phase) {
    for (int i = 0; i < count; ++i) {
      const int thread = backwards ? count - 1 - i : i;
      phase(lanes[static_cast<size_t>(thread)], thread);
    }
    backwards = !backwards;
  }
  template <class Phase>
  void warps(const Phase& phase) { block(phase); }
  template <class Phase>
  void warps_free(const Phase& phase) { block(phase); }
  void fault(uint64_t what) { fault_record = what; }
};

/// Calls body(program, block) for all blocks of a launch, each with fresh memory full of NaN. Returns the last fault.
template <TableType type, class Shape, class Body>
uint64_t run_blocks(int64_t blocks, const DeviceBatch& batch, const Slots& slots, Shape shape, const Body& body) {
  uint64_t fault = kNoFault;
  for (int64_t block = 0; block < blocks; ++block) {
    HostThreads<Lane<type, Shape>, Layout<Shape>::kThreads> threads;
    std::vector<Pack<float, 4>> memory(Layout<Shape>::shared_bytes(shape.side) / sizeof(Pack<float, 4>) + 1, {{NAN, NAN, NAN, NAN}});
    BatchProgram<type, Shape, decltype(threads)> program(batch, slots, shape, memory.data(), threads);
    body(program, block);
    if (threads.fault_record != kNoFault) fault = threads.fault_record;
  }
  return fault;
}

template <TableType type, class Shape>
uint64_t encode(const DeviceBatch& batch, Shape shape) {
  const auto count = static_cast<size_t>(slot_count(batch.tokens)), size = static_cast<size_t>(shape.side) * static_cast<size_t>(shape.side);
  std::vector<float> vectors(count * static_cast<size_t>(shape.vector), NAN), forward(count * size, NAN), backward(count * size, NAN);
  const Slots slots = {vectors.data(), forward.data(), backward.data(), static_cast<int64_t>(count)};
  const uint64_t fault = run_blocks<type>(batch.sentences + slots.count, batch, slots, shape,
                                          [](auto& program, int64_t block) { program.encode(block); });
  if (count == 0) return fault;
  DeviceBatch joined = batch;
  joined.tables = {slots.vectors, slots.forward, slots.backward, nullptr, TableType::kFloat32, shape.side, shape.vector};
  run_blocks<TableType::kFloat32>(batch.sentences, joined, slots, shape, [](auto& program, int64_t s) { program.join(s); });
  return fault;
}

template <class Shape>
uint64_t encode_tables(const DeviceBatch& batch, Shape shape) {
  switch (batch.tables.type) {
    case TableType::kFloat16: return encode<TableType::kFloat16>(batch, shape);
    case TableType::kInt8: return encode<TableType::kInt8>(batch, shape);
    default: return encode<TableType::kFloat32>(batch, shape);
  }
}

using PairThreads = HostThreads<PairLane, kPairThreads>;

/// `bytes` full of NaN, and of whole numbers that are -1.
std::vector<Pack<float, 4>> poisoned(int64_t bytes) {
  std::vector<Pack<float, 4>> memory(static_cast<size_t>(bytes) / sizeof(Pack<float, 4>) + 1);
  memset(memory.data(), 0xff, memory.size() * sizeof(Pack<float, 4>));
  return memory;
}

/// Calls body(program, block) for all blocks of a launch, each with fresh shared memory for `rows` rows. Returns the last fault.
template <class Body>
uint64_t run_pair_blocks(int64_t blocks, const DevicePairs& batch, int64_t rows, const Body& body) {
  uint64_t fault = kNoFault;
  for (int64_t block = 0; block < blocks; ++block) {
    PairThreads threads;
    auto shared = poisoned(pair_scratch_bytes(batch) + rows * pair_row_bytes(batch));
    PairProgram<PairThreads> program(batch, shared.data(), threads);
    body(program, block);
    if (threads.fault_record != kNoFault) fault = threads.fault_record;
  }
  return fault;
}

}  // namespace
}  // namespace cmow

/// Encodes a batch as the GPU would. Returns the fault, 0 for none.
extern "C" uint64_t encode_on_host(const cmow::DeviceBatch* batch) {
  const cmow::Tables& tables = batch->tables;
  if (tables.side == cmow::kSide && tables.vector_size == cmow::kVector) return cmow::encode_tables(*batch, cmow::BlockFixedShape{});
  return cmow::encode_tables(*batch, cmow::BlockAnyShape{tables.side, tables.vector_size});
}

/// Encodes pairs as the GPU would: those of up to `short_rows` rows in shared memory, the longer ones by `long_blocks` blocks in
/// a workspace. Returns the fault.
extern "C" uint64_t pairs_on_host(const cmow::DevicePairs* batch, int64_t short_rows, int64_t long_blocks) {
  const uint64_t fault = cmow::run_pair_blocks(batch->count, *batch, short_rows, [&](auto& program, int64_t pair) {
    program.encode(pair, -1, short_rows, program.memory_beside());
  });
  const int64_t rows = cmow::most_pair_rows(*batch);
  auto workspace = cmow::poisoned(rows * cmow::pair_row_bytes(*batch));
  const uint64_t long_fault = cmow::run_pair_blocks(long_blocks, *batch, 0, [&](auto& program, int64_t block) {
    program.encode_long(block, long_blocks, short_rows, workspace.data(), rows);
  });
  return long_fault != cmow::kNoFault ? long_fault : fault;
}
