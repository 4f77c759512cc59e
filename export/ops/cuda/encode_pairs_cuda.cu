// The kernels of pairs_block.h, and what it takes to launch them.
//
// The host knows the number N of tokens and P of pairs, but not the lengths, which are in the memory of the device. So there are up
// to three launches, each of which leaves the pairs of the others: of pairs so short that two blocks share a multiprocessor, of
// pairs that fit its shared memory, and of all longer ones in a workspace. What N rules out is not launched.
#include "encode_pairs_cuda.h"

#include "device_threads.h"

namespace cmow {
namespace {

constexpr int64_t kShortBytes = 80 * 1024;  // of shared memory: two blocks fit an A100's multiprocessor
constexpr int64_t kLongBlocks = 264;        // that share the longer pairs, at most: two for each multiprocessor of an H100

struct PairLaunch {
  DevicePairs batch;
  uint64_t* faults;
  int64_t least, most;  // pairs of more rows than `least`, up to `most`
  void* workspace;      // for `most` rows, where pairs do not fit shared memory
};

extern __shared__ __align__(16) unsigned char pair_memory[];

__global__ void __launch_bounds__(kPairThreads, 2) encode_pairs_kernel(const PairLaunch launch) {
  DeviceThreads<PairLane> threads{{}, launch.faults};
  PairProgram<decltype(threads)> program(launch.batch, pair_memory, threads);
  program.encode(blockIdx.x, launch.least, launch.most, program.memory_beside());
}

__global__ void __launch_bounds__(kPairThreads, 2) encode_long_pairs_kernel(const PairLaunch launch) {
  DeviceThreads<PairLane> threads{{}, launch.faults};
  PairProgram<decltype(threads)>(launch.batch, pair_memory, threads)
      .encode_long(blockIdx.x, gridDim.x, launch.least, launch.workspace, launch.most);
}

/// Shared memory that one block can have, in bytes.
int64_t most_shared_bytes() {
  int device = 0, bytes = 0;
  check(cudaGetDevice(&device));
  check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  return bytes;
}

/// The pairs of more than `least` rows, up to `most`, in shared memory.
void encode_shared(const PairLaunch& arguments, int64_t least, int64_t most, cudaStream_t stream) {
  PairLaunch launched = arguments;
  launched.least = least;
  launched.most = most;
  const int64_t bytes = pair_scratch_bytes(arguments.batch) + most * pair_row_bytes(arguments.batch);
  launch(encode_pairs_kernel, arguments.batch.count, kPairThreads, static_cast<size_t>(bytes), stream, launched);
}

/// The pairs of more than `least` rows.
void encode_long(const PairLaunch& arguments, int64_t least, int64_t most, cudaStream_t stream) {
  PairLaunch launched = arguments;
  launched.least = least;
  launched.most = most;
  check(cudaMallocAsync(&launched.workspace, static_cast<size_t>(most * pair_row_bytes(arguments.batch)), stream));
  const int64_t blocks = arguments.batch.count < kLongBlocks ? arguments.batch.count : kLongBlocks;
  launch(encode_long_pairs_kernel, blocks, kPairThreads, static_cast<size_t>(pair_scratch_bytes(arguments.batch)), stream, launched);
  check(cudaFreeAsync(launched.workspace, stream));
}

}  // namespace

void encode_pairs_on_device(const DevicePairs& batch, void* stream) {
  if (batch.count == 0) return;
  const cudaStream_t cuda_stream = use_stream(stream);
  const PairLaunch arguments{batch, fault_record(), 0, 0, nullptr};
  const int64_t most = most_pair_rows(batch), short_rows = rows_that_fit(batch, kShortBytes);
  encode_shared(arguments, -1, most < short_rows ? most : short_rows, cuda_stream);
  if (most <= short_rows) return;
  const int64_t shared_rows = rows_that_fit(batch, most_shared_bytes());
  if (shared_rows > short_rows) encode_shared(arguments, short_rows, most < shared_rows ? most : shared_rows, cuda_stream);
  const int64_t all_shared = shared_rows > short_rows ? shared_rows : short_rows;
  if (most > all_shared) encode_long(arguments, all_shared, most, cuda_stream);
}

}  // namespace cmow
