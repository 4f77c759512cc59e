// What registration needs to know of ai.cmow::AlignPairs.
#pragma once

#include "align_pairs.h"
#include "ort_abi.h"

namespace cmow {

/// The op with this kernel; whoever calls owns it.
const ort::CustomOp* new_align_pairs_op(const AlignKernel& kernel);

}  // namespace cmow
