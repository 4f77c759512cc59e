// ai.cmow::HybridEncode for CUDAExecutionProvider: the inputs and output of the CPU op, in the device's memory.
//
// Types and shapes are checked here, as on the CPU. Ids and offsets are checked by the kernels, see hybrid_batch.h: the row of
// a wrong sentence is NaN, and once the run is done `cmow_cuda_take_fault` says what was wrong.
#include "../hybrid_encode_inputs.h"
#include "cuda_ops.h"
#include "hybrid_encode_cuda.h"

namespace cmow {
namespace {

struct Session {
  using SessionKernel = OnlyKernel;
  static constexpr const char* kName = "HybridEncode";
  static constexpr const char* kProvider = "CUDAExecutionProvider";
  static constexpr size_t kInputs = Input::kInputs;
  static constexpr size_t kFirstOptional = kScales;

  const ort::Api& api;
  const OnlyKernel& kernel;

  void compute(ort::KernelContext* context) const {
    const Tensor token_ids = read_input(api, context, kTokenIds), cu_seqlens = read_input(api, context, kCuSeqlens);
    const CheckedTables checked = read_tables(api, context);
    if (token_ids.shape.size() != 1) wrong_shape(token_ids, "[N]");
    if (token_ids.type != ort::kInt64 && token_ids.type != ort::kInt32) wrong_type(token_ids, "int64 or int32");
    check_offset_shape(cu_seqlens);
    const int64_t tokens = token_ids.shape[0], sentences = cu_seqlens.shape[0] - 1;
    if (sentences == 0 && tokens > 0) wrong_shape(token_ids, "[0], since cu_seqlens has no sentence,");
    const Tables& tables = checked.tables;
    float* const rows = make_output(api, context, {sentences, tables.vector_size + 2 * tables.side * tables.side});
    void* stream = nullptr;
    check(api.KernelContext_GetGPUComputeStream(context, &stream));
    encode_on_device({token_ids.data, token_ids.type == ort::kInt64, cu_seqlens.as<int64_t>(), tokens, sentences, tables,
                      checked.vocabulary, rows}, stream);
  }
};

}  // namespace

const ort::CustomOp* new_hybrid_encode_cuda_op(const OnlyKernel& kernel) { return new Op<Session>(kernel); }

}  // namespace cmow
