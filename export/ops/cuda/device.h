// What marks code that nvcc compiles for the device, and any other compiler for tests on the host.
#pragma once

#ifdef __CUDACC__
#define CMOW_DEVICE __device__ __forceinline__
#define CMOW_BOTH __host__ __device__
#else
#define CMOW_DEVICE inline
#define CMOW_BOTH
#endif
