// What registration needs to know of ai.cmow::EncodePairs.
#pragma once

#include "ort_abi.h"
#include "pairs_encoder.h"

namespace cmow {

/// The op with this kernel; whoever calls owns it.
const ort::CustomOp* new_encode_pairs_op(const PairKernel& kernel);

}  // namespace cmow
