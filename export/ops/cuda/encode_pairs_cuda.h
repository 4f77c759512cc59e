// EncodePairs on a GPU, without ONNX Runtime and without CUDA's headers.
#pragma once

#include "pairs_block.h"

namespace cmow {

/// Computes `batch` on `stream`, a cudaStream_t, without waiting for it; see hybrid_encode_cuda.h. A pair that does not fit, or has an
/// id outside the tables, becomes NaN. Throws std::runtime_error where the work cannot be given to the device.
void encode_pairs_on_device(const DevicePairs& batch, void* stream);

}  // namespace cmow
