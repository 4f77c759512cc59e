// Sixteen bytes, which SSE2 and NEON have, in tiles that fit sixteen registers.
#include "align_steps.h"

namespace cmow {

const AlignKernel portable_align_kernel = {"portable", align_tokens<Simd<16, 6, 2>>};

}  // namespace cmow
