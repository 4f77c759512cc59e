// AVX-512. Twenty-four sums, four right factors and one left factor fit the thirty-two registers.
#include "align_steps.h"

namespace cmow {

const AlignKernel avx512_align_kernel = {"avx512", align_tokens<Simd<64, 6, 4>>};

}  // namespace cmow
