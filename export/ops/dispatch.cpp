// Which kernels run, decided on the machine that runs them.
#include <cstring>
#include <string>

#include "hybrid_encode.h"
#include "pairs_encoder.h"

namespace cmow {
namespace {

bool runs_here(const Kernel& kernel) {
#ifdef CMOW_X86_64
  __builtin_cpu_init();
  if (&kernel == &avx512_kernel)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("fma");
  if (&kernel == &avx2_kernel)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
#endif
  return &kernel == &portable_kernel;
}

/// All kernels of this build, best first.
constexpr const Kernel* kKernels[] = {
#ifdef CMOW_X86_64
    &avx512_kernel, &avx2_kernel,
#endif
    &portable_kernel};

}  // namespace

const Kernel* select_kernel(const char* name) {
  const bool best = name == nullptr || *name == '\0';
  for (const Kernel* kernel : kKernels)
    if (runs_here(*kernel) && (best || std::strcmp(name, kernel->isa) == 0)) return kernel;
  return nullptr;
}

const PairKernel& pair_kernel_of(const Kernel& kernel) {
#ifdef CMOW_X86_64
  __builtin_cpu_init();
  if (&kernel == &avx512_kernel && __builtin_cpu_supports("avx512vnni")) return avx512_pair_kernel;
  if (&kernel == &avx512_kernel || &kernel == &avx2_kernel) return avx2_pair_kernel;
#endif
  static_cast<void>(kernel);
  return portable_pair_kernel;
}

const char* supported_isas() {
  static const std::string names = [] {
    std::string list;
    for (const Kernel* kernel : kKernels)
      if (runs_here(*kernel)) list += (list.empty() ? "" : ", ") + std::string(kernel->isa);
    return list;
  }();
  return names.c_str();
}

}  // namespace cmow
