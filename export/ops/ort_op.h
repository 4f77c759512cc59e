// What every op of this library needs of ONNX Runtime: inputs with their checks, output, threads, errors, the op's description.
#pragma once

#include <climits>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "ort_abi.h"

namespace cmow {

/// A status of ONNX Runtime on its way through C++ code; `guarded` hands it over.
struct StatusError {
  ort::Status* status;
};

/// An input that the contract does not allow.
struct InvalidInput : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void check(ort::Status* status) {
  if (status != nullptr) throw StatusError{status};
}

/// Runs `body`; whatever it throws becomes a status that starts with the op's name, so that no exception crosses the C boundary.
template <class Body>
ort::Status* guarded(const ort::Api& api, const char* op, Body body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const StatusError& error) {
    return error.status;
  } catch (const InvalidInput& error) {
    return api.CreateStatus(ort::kInvalidArgument, (op + std::string(": ") + error.what()).c_str());
  } catch (const std::exception& error) {
    return api.CreateStatus(ort::kFail, (op + std::string(": ") + error.what()).c_str());
  } catch (...) {
    return api.CreateStatus(ort::kFail, (op + std::string(": unknown error")).c_str());
  }
}

/// One input tensor.
struct Tensor {
  const char* name;
  ort::ElementType type;
  std::vector<int64_t> shape;
  const void* data;

  template <class T>
  const T* as() const { return static_cast<const T*>(data); }
};

inline std::string text(const std::vector<int64_t>& shape) {
  std::string result = "[";
  for (size_t i = 0; i < shape.size(); ++i) result += (i ? ", " : "") + std::to_string(shape[i]);
  return result + "]";
}

inline std::string text(ort::ElementType type) {
  switch (type) {
    case ort::kFloat: return "float32";
    case ort::kFloat16: return "float16";
    case ort::kInt8: return "int8";
    case ort::kInt32: return "int32";
    case ort::kInt64: return "int64";
    default: return "ONNX element type " + std::to_string(static_cast<int>(type));
  }
}

[[noreturn]] inline void wrong_type(const Tensor& tensor, const std::string& expected) {
  throw InvalidInput(std::string(tensor.name) + " must be " + expected + ", got " + text(tensor.type));
}

[[noreturn]] inline void wrong_shape(const Tensor& tensor, const std::string& expected) {
  throw InvalidInput(std::string(tensor.name) + " must have shape " + expected + ", got " + text(tensor.shape));
}

/// The tensor in `value`, which the op knows as `name`.
inline Tensor read_tensor(const ort::Api& api, const ort::Value* value, const char* name) {
  Tensor tensor{name, ort::kUndefined, {}, nullptr};
  ort::TensorInfo* info = nullptr;
  check(api.GetTensorTypeAndShape(value, &info));
  const auto release = [&](ort::TensorInfo* owned) { api.ReleaseTensorTypeAndShapeInfo(owned); };
  const std::unique_ptr<ort::TensorInfo, decltype(release)> owner(info, release);
  size_t rank = 0;
  check(api.GetTensorElementType(info, &tensor.type));
  check(api.GetDimensionsCount(info, &rank));
  tensor.shape.resize(rank);
  check(api.GetDimensions(info, tensor.shape.data(), rank));
  void* data = nullptr;
  check(api.GetTensorMutableData(const_cast<ort::Value*>(value), &data));  // the only accessor; the data is only read
  tensor.data = data;
  return tensor;
}

/// Input `index`, which the op knows as `name`.
inline Tensor read_input(const ort::Api& api, const ort::KernelContext* context, size_t index, const char* name) {
  const ort::Value* value = nullptr;
  check(api.KernelContext_GetInput(context, index, &value));
  if (value == nullptr) throw InvalidInput(std::string(name) + " is missing");
  return read_tensor(api, value, name);
}

/// Input `index` where it is a constant of the model, known before any run; else null.
inline const ort::Value* constant_input(const ort::Api& api, const ort::KernelInfo* info, size_t index) {
  int is_constant = 0;
  const ort::Value* value = nullptr;
  check(api.KernelInfoGetConstantInput_tensor(info, index, &is_constant, &value));
  return is_constant != 0 ? value : nullptr;
}

inline void check_offset_shape(const Tensor& cu_seqlens) {
  if (cu_seqlens.type != ort::kInt64) wrong_type(cu_seqlens, "int64");
  if (cu_seqlens.shape.size() != 1 || cu_seqlens.shape[0] < 1) wrong_shape(cu_seqlens, "[B + 1]");
}

/// Checks cu_seqlens against the number of tokens, which are rows of `what`.
inline void check_offsets(const Tensor& cu_seqlens, int64_t tokens, const char* what) {
  check_offset_shape(cu_seqlens);
  const auto* offsets = cu_seqlens.as<int64_t>();
  const int64_t sentences = cu_seqlens.shape[0] - 1;
  const auto at = [&](int64_t i) { return "cu_seqlens[" + std::to_string(i) + "]"; };
  if (offsets[0] != 0) throw InvalidInput(at(0) + " must be 0, got " + std::to_string(offsets[0]));
  for (int64_t i = 0; i < sentences; ++i)
    if (offsets[i + 1] < offsets[i])
      throw InvalidInput("cu_seqlens must not decrease: " + at(i) + " is " + std::to_string(offsets[i]) + " and " + at(i + 1) +
                         " is " + std::to_string(offsets[i + 1]));
  if (offsets[sentences] != tokens)
    throw InvalidInput(at(sentences) + " must be the number of " + what + ", " + std::to_string(tokens) + ", got " +
                       std::to_string(offsets[sentences]));
}

/// The op's output, [shape] float32.
inline float* make_output(const ort::Api& api, ort::KernelContext* context, const std::vector<int64_t>& shape) {
  ort::Value* output = nullptr;
  void* data = nullptr;
  check(api.KernelContext_GetOutput(context, 0, shape.data(), shape.size(), &output));
  check(api.GetTensorMutableData(output, &data));
  return static_cast<float*>(data);
}

/// Calls task(data, 0 .. tasks - 1), on the session's pool where there is more than one.
inline void run_tasks(const ort::Api& api, const ort::KernelContext* context, size_t tasks, void (*task)(void*, size_t), void* data) {
  if (tasks == 1) task(data, 0);
  else if (tasks > 1) check(api.KernelContext_ParallelFor(context, task, tasks, 0, data));
}

/// An op with one kernel and one output. `Session` is the op's state in one session: it has the kernel's type `SessionKernel`,
/// the op's name `kName` and execution provider `kProvider`, the number of inputs `kInputs` and the first optional one
/// `kFirstOptional`, is made of {api, kernel}, or of {api, kernel, info} where it takes what is known before a run, and has
/// compute(context), which checks everything.
template <class Session>
struct Op : ort::CustomOp {
  const typename Session::SessionKernel& kernel;

  explicit Op(const typename Session::SessionKernel& chosen) : kernel(chosen) {
    GetName = [](const CustomOp*) { return Session::kName; };
    GetExecutionProviderType = [](const CustomOp*) { return Session::kProvider; };
    GetInputType = [](const CustomOp*, size_t) { return ort::kUndefined; };  // any: `compute` checks, and says what is wrong
    GetInputTypeCount = [](const CustomOp*) -> size_t { return Session::kInputs; };
    GetOutputType = [](const CustomOp*, size_t) { return ort::kFloat; };
    GetOutputTypeCount = [](const CustomOp*) -> size_t { return 1; };
    GetInputCharacteristic = [](const CustomOp*, size_t i) {
      return i >= Session::kFirstOptional ? ort::kOptional : ort::kRequired;
    };
    GetOutputCharacteristic = [](const CustomOp*, size_t) { return ort::kRequired; };
    GetInputMemoryType = [](const CustomOp*, size_t) { return 0; };
    GetVariadicInputMinArity = GetVariadicOutputMinArity = [](const CustomOp*) { return 1; };
    GetVariadicInputHomogeneity = GetVariadicOutputHomogeneity = [](const CustomOp*) { return 1; };
    GetStartVersion = [](const CustomOp*) { return 1; };
    GetEndVersion = [](const CustomOp*) { return INT_MAX; };
    CreateKernelV2 = [](const CustomOp* op, const ort::Api* api, const ort::KernelInfo* info, void** out) {
      return guarded(*api, Session::kName, [&] { *out = static_cast<const Op*>(op)->new_session(*api, info); });
    };
    KernelComputeV2 = [](void* session, ort::KernelContext* context) {
      const auto* self = static_cast<const Session*>(session);
      return guarded(self->api, Session::kName, [&] { self->compute(context); });
    };
    KernelDestroy = [](void* session) { delete static_cast<Session*>(session); };
  }

  Session* new_session(const ort::Api& api, [[maybe_unused]] const ort::KernelInfo* info) const {
    if constexpr (std::is_constructible_v<Session, const ort::Api&, decltype(kernel), const ort::KernelInfo*>)
      return new Session(api, kernel, info);
    else
      return new Session{api, kernel};
  }
};

}  // namespace cmow
