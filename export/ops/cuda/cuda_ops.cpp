// What libhybrid_encode_cuda.so exports.
#include "cuda_ops.h"

#include <cstring>
#include <iterator>

#include "encode_pairs_cuda.h"
#include "hybrid_encode_cuda.h"

namespace {

/// 0 where `body` runs without an exception, else 1: none may cross the C boundary.
template <class Body>
int given_to_device(Body body) noexcept {
  try {
    body();
    return 0;
  } catch (const std::exception&) {
    return 1;
  }
}

}  // namespace

#define CMOW_EXPORT extern "C" __attribute__((visibility("default")))

/// The ops of this library, null after the last: libhybrid_encode.so adds them to its domain.
CMOW_EXPORT const ort::CustomOp* cmow_cuda_op(size_t index) {
  static const cmow::OnlyKernel kernel;
  static const ort::CustomOp* const ops[] = {cmow::new_hybrid_encode_cuda_op(kernel), cmow::new_encode_pairs_cuda_op(kernel)};
  return index < std::size(ops) ? ops[index] : nullptr;
}

/// Writes what was wrong in the input of runs that are done by now into `text` of `size` bytes, cut to fit; empty: nothing was.
CMOW_EXPORT void cmow_cuda_take_fault(char* text, size_t size) {
  std::string fault;
  try {
    fault = cmow::take_fault();
  } catch (const std::exception& error) {
    fault = error.what();
  }
  if (size == 0) return;
  const size_t length = fault.size() < size ? fault.size() : size - 1;
  std::memcpy(text, fault.data(), length);
  text[length] = '\0';
}

/// Encodes a batch on `stream`, a cudaStream_t, without ONNX Runtime, for tests and benchmarks. Returns 0, or 1 where the work
/// cannot be given to the device.
CMOW_EXPORT int cmow_cuda_encode(const cmow::DeviceBatch* batch, void* stream) {
  return given_to_device([&] { cmow::encode_on_device(*batch, stream); });
}

/// Encodes pairs likewise.
CMOW_EXPORT int cmow_cuda_encode_pairs(const cmow::DevicePairs* batch, void* stream) {
  return given_to_device([&] { cmow::encode_pairs_on_device(*batch, stream); });
}
