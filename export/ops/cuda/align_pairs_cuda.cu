// The kernel of align_block.h, and what it takes to launch it.
#include "align_pairs_cuda.h"

#include "device_threads.h"

namespace cmow {
namespace {

extern __shared__ __align__(16) float align_memory[];

__global__ void __launch_bounds__(kAlignThreads) align_kernel(const DevicePairs batch, uint64_t* faults) {
  DeviceThreads<AlignLane> threads{{}, faults};
  AlignProgram<decltype(threads)>(batch, align_memory, threads).run(blockIdx.x);
}

}  // namespace

void align_on_device(const DevicePairs& batch, void* stream) {
  if (batch.count == 0) return;
  launch(align_kernel, 2 * batch.count, kAlignThreads, align_shared_bytes(batch.comparison), use_stream(stream), batch, fault_record());
}

}  // namespace cmow
