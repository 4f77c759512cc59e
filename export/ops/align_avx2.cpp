// AVX2 and FMA. Twelve sums, two right factors and one left factor fit the sixteen registers.
#include "align_steps.h"

namespace cmow {

const AlignKernel avx2_align_kernel = {"avx2", align_tokens<Simd<32, 6, 2>>};

}  // namespace cmow
