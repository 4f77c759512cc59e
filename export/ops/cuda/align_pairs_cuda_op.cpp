// ai.cmow::AlignPairs for CUDAExecutionProvider. Types and shapes are checked here, offsets and pairs by the kernel.
#include "../align_pairs_inputs.h"
#include "align_pairs_cuda.h"
#include "cuda_ops.h"

namespace cmow {
namespace {

struct Session {
  using SessionKernel = OnlyKernel;
  static constexpr const char* kName = "AlignPairs";
  static constexpr const char* kProvider = "CUDAExecutionProvider";
  static constexpr size_t kInputs = Input::kInputs;
  static constexpr size_t kFirstOptional = kInputs;

  const ort::Api& api;
  const OnlyKernel& kernel;

  void compute(ort::KernelContext* context) const {
    const Inputs in(api, context);
    const Comparison comparison = check_shapes(in);
    const int64_t pairs = in.pairs.shape[0];
    float* const pooled = make_output(api, context, {pairs, 2, static_cast<int64_t>(2 * comparison.size)});
    void* stream = nullptr;
    check(api.KernelContext_GetGPUComputeStream(context, &stream));
    align_on_device({comparison, in.keys.as<float>(), in.values.as<float>(), in.cu_seqlens.as<int64_t>(), in.pairs.as<int64_t>(),
                     in.keys.shape[0], in.cu_seqlens.shape[0] - 1, pairs, pooled}, stream);
  }
};

}  // namespace

const ort::CustomOp* new_align_pairs_cuda_op(const OnlyKernel& kernel) { return new Op<Session>(kernel); }

}  // namespace cmow
