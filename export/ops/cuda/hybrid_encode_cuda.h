// The encoder on a GPU, without ONNX Runtime and without CUDA's headers.
#pragma once

#include <string>

#include "hybrid_batch.h"

namespace cmow {

/// Computes `batch` on `stream`, a cudaStream_t, without waiting for it. Every pointer is one of the device.
/// Throws std::runtime_error with CUDA's own words where the work cannot be given to the device.
void encode_on_device(const DeviceBatch& batch, void* stream);

/// What was wrong in the input of work that is done by now, in words, or an empty string; the next call no longer knows.
std::string take_fault();

}  // namespace cmow
