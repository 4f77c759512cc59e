// The threads of a block as the programs want them, and launching; for nvcc alone.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "fault.h"

namespace cmow {

/// The threads of a block.
template <class LaneState>
struct DeviceThreads {
  LaneState lane;
  uint64_t* faults;

  template <class Phase>
  CMOW_DEVICE void block(const Phase& phase) {
    phase(lane, static_cast<int>(threadIdx.x));
    __syncthreads();
  }
  template <class Phase>
  CMOW_DEVICE void warps(const Phase& phase) {
    phase(lane, static_cast<int>(threadIdx.x));
    __syncwarp();
  }
  template <class Phase>
  CMOW_DEVICE void warps_free(const Phase& phase) {
    phase(lane, static_cast<int>(threadIdx.x));
  }
  CMOW_DEVICE void fault(uint64_t what) { *static_cast<volatile uint64_t*>(faults) = what; }
};

inline void check(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(error));
}

/// One number in host memory that the device can write: the last fault.
uint64_t* fault_record();

/// `stream` as CUDA's own type, its device chosen: this library's own copy of the CUDA runtime does not know which one its caller has
/// chosen.
inline cudaStream_t use_stream(void* stream) {
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  int device = 0;
  check(cudaStreamGetDevice(cuda_stream, &device));
  check(cudaSetDevice(device));
  return cuda_stream;
}

/// Launches `blocks` blocks, each with `bytes` of shared memory.
template <class... Arguments>
void launch(void (*kernel)(Arguments...), int64_t blocks, int threads, size_t bytes, cudaStream_t stream, Arguments... arguments) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)));
  kernel<<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), bytes, stream>>>(arguments...);
  check(cudaGetLastError());
}

}  // namespace cmow
