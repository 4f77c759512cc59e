// The ops for CUDAExecutionProvider: inputs and outputs are those of the CPU ops, in the device's memory.
#pragma once

#include "../ort_op.h"

namespace cmow {

/// On a GPU there is one kernel, which needs no choice.
struct OnlyKernel {};

/// New ops, which whoever calls owns.
const ort::CustomOp* new_hybrid_encode_cuda_op(const OnlyKernel& kernel);
const ort::CustomOp* new_encode_pairs_cuda_op(const OnlyKernel& kernel);

}  // namespace cmow
