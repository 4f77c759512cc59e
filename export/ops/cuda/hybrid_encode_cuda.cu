// The kernels of hybrid_batch.h, and what it takes to launch them.
//
// float32 throughout: on an H100 the multiply-adds of a batch and the reading of its int8 rows take about the same time, so tensor
// cores, which would round the products to 10 bits, could not make it much faster.
#include "hybrid_encode_cuda.h"

#include "device_threads.h"

namespace cmow {
namespace {

struct Launch {
  DeviceBatch batch;
  Slots slots;
  uint64_t* faults;
};

extern __shared__ __align__(16) unsigned char block_memory[];

template <TableType type, class Shape>
__global__ void __launch_bounds__(Layout<Shape>::kThreads, Shape::kBlocks) encode_kernel(const Launch launch, const Shape shape) {
  DeviceThreads<Lane<type, Shape>> threads{{}, launch.faults};
  BatchProgram<type, Shape, decltype(threads)>(launch.batch, launch.slots, shape, block_memory, threads).encode(blockIdx.x);
}

template <class Shape>
__global__ void __launch_bounds__(Layout<Shape>::kThreads, Shape::kBlocks) join_kernel(const Launch launch, const Shape shape) {
  DeviceThreads<Lane<TableType::kFloat32, Shape>> threads{{}, launch.faults};
  BatchProgram<TableType::kFloat32, Shape, decltype(threads)>(launch.batch, launch.slots, shape, block_memory, threads).join(blockIdx.x);
}

template <class Shape>
void launch_blocks(void (*kernel)(Launch, Shape), int64_t blocks, const Launch& arguments, Shape shape, cudaStream_t stream) {
  launch(kernel, blocks, Layout<Shape>::kThreads, Layout<Shape>::shared_bytes(shape.side), stream, arguments, shape);
}

template <class Shape>
auto kernel_for(TableType type) -> void (*)(Launch, Shape) {
  switch (type) {
    case TableType::kFloat16: return encode_kernel<TableType::kFloat16, Shape>;
    case TableType::kInt8: return encode_kernel<TableType::kInt8, Shape>;
    default: return encode_kernel<TableType::kFloat32, Shape>;
  }
}

/// The slots as tables, whose rows the joining blocks multiply.
Tables tables_of(const Slots& slots, const Tables& tables) {
  return {slots.vectors, slots.forward, slots.backward, nullptr, TableType::kFloat32, tables.side, tables.vector_size};
}

template <class Shape>
void encode_long(Launch arguments, Shape shape, cudaStream_t stream) {
  const DeviceBatch& batch = arguments.batch;
  const size_t count = static_cast<size_t>(slot_count(batch.tokens)), size = static_cast<size_t>(shape.side) * shape.side;
  void* memory = nullptr;
  check(cudaMallocAsync(&memory, sizeof(float) * count * slot_floats(shape.side, shape.vector), stream));
  float* const forward = static_cast<float*>(memory);
  arguments.slots = {forward + 2 * count * size, forward, forward + count * size, static_cast<int64_t>(count)};
  launch_blocks(kernel_for<Shape>(batch.tables.type), batch.sentences + arguments.slots.count, arguments, shape, stream);
  Launch joining = arguments;
  joining.batch.tables = tables_of(arguments.slots, batch.tables);
  launch_blocks(join_kernel<Shape>, batch.sentences, joining, shape, stream);
  check(cudaFreeAsync(memory, stream));
}

template <class Shape>
void encode(const DeviceBatch& batch, Shape shape, cudaStream_t stream) {
  const Launch arguments{batch, {}, fault_record()};
  if (slot_count(batch.tokens) > 0) encode_long(arguments, shape, stream);
  else launch_blocks(kernel_for<Shape>(batch.tables.type), batch.sentences, arguments, shape, stream);
}

}  // namespace

void encode_on_device(const DeviceBatch& batch, void* stream) {
  if (batch.sentences == 0) return;
  const cudaStream_t cuda_stream = use_stream(stream);
  const Tables& tables = batch.tables;
  if (tables.side == kSide && tables.vector_size == kVector) encode(batch, BlockFixedShape{}, cuda_stream);
  else encode(batch, BlockAnyShape{tables.side, tables.vector_size}, cuda_stream);
}

uint64_t* fault_record() {
  static uint64_t* const record = [] {
    void* memory = nullptr;
    check(cudaHostAlloc(&memory, sizeof(uint64_t), cudaHostAllocPortable | cudaHostAllocMapped));
    return new (memory) uint64_t(kNoFault);
  }();
  return record;
}

std::string take_fault() {
  volatile uint64_t* const record = fault_record();
  const uint64_t fault = *record;
  *record = kNoFault;
  const std::string position = std::to_string(fault >> 2);
  switch (fault & 3) {
    case kNoFault: return "";
    case kBadId: return "token_ids[" + position + "] is no row of the tables";
    case kBadPair: return "pairs[" + position + "] are no two sentences";
    default: return "cu_seqlens[" + position + "] and the one after it are not the bounds of a sentence";
  }
}

}  // namespace cmow
