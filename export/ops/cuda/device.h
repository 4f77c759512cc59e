// What marks code that nvcc compiles for the device, and any other compiler for tests on the host; what all blocks share.
#pragma once

#ifdef __CUDACC__
#define CMOW_DEVICE __device__ __forceinline__
#define CMOW_BOTH __host__ __device__
#else
#define CMOW_DEVICE inline
#define CMOW_BOTH
#endif

namespace cmow {

constexpr int kWarp = 32;  // threads of a warp

/// `count` elements that are loaded and stored at once.
template <class T, int count>
struct alignas(sizeof(T) * count) Pack {
  T at[count];
};

}  // namespace cmow
