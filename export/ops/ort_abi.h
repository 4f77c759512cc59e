// The part of the ONNX Runtime C ABI that a custom op needs, as own declarations.
//
// ONNX Runtime's packages carry no headers. Its C ABI only ever grows at the end, so the positions below hold for every
// version from 1.17 (API 17, the first whose table of functions reaches KernelContext_ParallelFor) on.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ort {

constexpr uint32_t kApiVersion = 17;

struct CustomOpDomain;
struct KernelContext;
struct KernelInfo;
struct SessionOptions;
struct ShapeInferContext;
struct Status;
struct TensorInfo;
struct Value;
struct CustomOp;

enum ErrorCode : int { kFail = 1, kInvalidArgument = 2 };
enum ElementType : int { kUndefined = 0, kFloat = 1, kInt8 = 3, kInt32 = 6, kInt64 = 7, kFloat16 = 10 };
enum Characteristic : int { kRequired = 0, kOptional = 1 };

/// Table of functions (`OrtApi`). The number is the function's position; the gaps are functions not used here.
struct Api {
  Status* (*CreateStatus)(ErrorCode code, const char* message);  // 0
  void* gap_1[25];
  Status* (*CreateCustomOpDomain)(const char* name, CustomOpDomain** out);                                // 26
  Status* (*CustomOpDomain_Add)(CustomOpDomain* domain, const CustomOp* op);                              // 27
  Status* (*AddCustomOpDomain)(SessionOptions* options, CustomOpDomain* domain);                          // 28
  void* gap_29[22];
  Status* (*GetTensorMutableData)(Value* value, void** out);                                              // 51
  void* gap_52[8];
  Status* (*GetTensorElementType)(const TensorInfo* info, ElementType* out);                              // 60
  Status* (*GetDimensionsCount)(const TensorInfo* info, size_t* out);                                     // 61
  Status* (*GetDimensions)(const TensorInfo* info, int64_t* dims, size_t count);                          // 62
  void* gap_63[2];
  Status* (*GetTensorTypeAndShape)(const Value* value, TensorInfo** out);                                 // 65
  void* gap_66[22];
  Status* (*KernelContext_GetInputCount)(const KernelContext* context, size_t* out);                      // 88
  void* gap_89;
  Status* (*KernelContext_GetInput)(const KernelContext* context, size_t index, const Value** out);       // 90
  Status* (*KernelContext_GetOutput)(KernelContext* context, size_t index, const int64_t* dims, size_t count,
                                     Value** out);                                                        // 91
  void* gap_92;
  void (*ReleaseStatus)(Status* status);                                                                  // 93
  void* gap_94[5];
  void (*ReleaseTensorTypeAndShapeInfo)(TensorInfo* info);                                                // 99
  void* gap_100[93];
  Status* (*KernelContext_GetGPUComputeStream)(const KernelContext* context, void** out);                 // 193
  void* gap_194[55];
  /// Input `index` where it is a constant of the model; `is_constant` says whether it is.
  Status* (*KernelInfoGetConstantInput_tensor)(const KernelInfo* info, size_t index, int* is_constant, const Value** out);  // 249
  void* gap_250[24];
  /// Calls task(data, 0 .. total - 1) on the session's own pool; batches = 0 lets the pool choose.
  Status* (*KernelContext_ParallelFor)(const KernelContext* context, void (*task)(void* data, size_t index),
                                       size_t total, size_t batches, void* data);                         // 274
};
static_assert(offsetof(Api, AddCustomOpDomain) == 28 * sizeof(void*));
static_assert(offsetof(Api, GetTensorTypeAndShape) == 65 * sizeof(void*));
static_assert(offsetof(Api, KernelContext_GetInput) == 90 * sizeof(void*));
static_assert(offsetof(Api, ReleaseTensorTypeAndShapeInfo) == 99 * sizeof(void*));
static_assert(offsetof(Api, KernelContext_GetGPUComputeStream) == 193 * sizeof(void*));
static_assert(offsetof(Api, KernelInfoGetConstantInput_tensor) == 249 * sizeof(void*));
static_assert(offsetof(Api, KernelContext_ParallelFor) == 274 * sizeof(void*));

/// What ONNX Runtime hands to `RegisterCustomOps` (`OrtApiBase`).
struct ApiBase {
  const Api* (*GetApi)(uint32_t version);  // null when this ONNX Runtime is older than `version`
  const char* (*GetVersionString)();
};

/// Description of one op for one execution provider (`OrtCustomOp`). The plain functions serve ops of API 15 and older.
struct CustomOp {
  uint32_t version = kApiVersion;
  void* (*CreateKernel)(const CustomOp*, const Api*, const KernelInfo*) = nullptr;
  const char* (*GetName)(const CustomOp*) = nullptr;
  const char* (*GetExecutionProviderType)(const CustomOp*) = nullptr;
  ElementType (*GetInputType)(const CustomOp*, size_t index) = nullptr;
  size_t (*GetInputTypeCount)(const CustomOp*) = nullptr;
  ElementType (*GetOutputType)(const CustomOp*, size_t index) = nullptr;
  size_t (*GetOutputTypeCount)(const CustomOp*) = nullptr;
  void (*KernelCompute)(void* kernel, KernelContext*) = nullptr;
  void (*KernelDestroy)(void* kernel) = nullptr;
  Characteristic (*GetInputCharacteristic)(const CustomOp*, size_t index) = nullptr;
  Characteristic (*GetOutputCharacteristic)(const CustomOp*, size_t index) = nullptr;
  int (*GetInputMemoryType)(const CustomOp*, size_t index) = nullptr;
  int (*GetVariadicInputMinArity)(const CustomOp*) = nullptr;
  int (*GetVariadicInputHomogeneity)(const CustomOp*) = nullptr;
  int (*GetVariadicOutputMinArity)(const CustomOp*) = nullptr;
  int (*GetVariadicOutputHomogeneity)(const CustomOp*) = nullptr;
  Status* (*CreateKernelV2)(const CustomOp*, const Api*, const KernelInfo*, void** kernel) = nullptr;
  Status* (*KernelComputeV2)(void* kernel, KernelContext*) = nullptr;
  Status* (*InferOutputShape)(const CustomOp*, ShapeInferContext*) = nullptr;
  int (*GetStartVersion)(const CustomOp*) = nullptr;
  int (*GetEndVersion)(const CustomOp*) = nullptr;
};
static_assert(sizeof(CustomOp) == 22 * sizeof(void*));

}  // namespace ort
