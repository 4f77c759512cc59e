// ai.cmow::EncodePairs for CUDAExecutionProvider: the inputs and output of the CPU op, in the device's memory.
//
// Types and shapes are checked here, as on the CPU. Ids, offsets and pairs are checked by the kernel: a wrong pair is NaN, and once
// the run is done `cmow_cuda_take_fault` says what was wrong. The size of weights is not: sums of int8 products fit here whatever
// they are.
#include "../pairs_inputs.h"
#include "cuda_ops.h"
#include "encode_pairs_cuda.h"

namespace cmow {
namespace {

struct Session {
  using SessionKernel = OnlyKernel;
  static constexpr const char* kName = "EncodePairs";
  static constexpr const char* kProvider = "CUDAExecutionProvider";
  static constexpr size_t kInputs = Input::kInputs;
  static constexpr size_t kFirstOptional = kInputs;

  const ort::Api& api;
  const OnlyKernel& kernel;

  void compute(ort::KernelContext* context) const {
    const auto read = [&](Input index) {
      const Tensor tensor = read_input(api, context, index, kInputNames[index]);
      check_type(tensor, index);
      return tensor;
    };
    const TokenInputs tokens = token_inputs(read);
    const WeightInputs weights = weight_inputs(read);
    const PairSizes sizes = check_weight_shapes(weights);
    check_token_shapes(tokens, sizes.width);
    void* stream = nullptr;
    float* const pooled = make_output(api, context, {tokens.pairs.shape[0], 2, 2 * sizes.width});
    check(api.KernelContext_GetGPUComputeStream(context, &stream));
    encode_pairs_on_device(batch_of(tokens, weights, sizes, pooled), stream);
  }

  static DevicePairs batch_of(const TokenInputs& tokens, const WeightInputs& weights, const PairSizes& sizes, float* pooled) {
    DevicePairs batch{};
    batch.token_ids = tokens.token_ids.as<int64_t>();
    batch.cu_seqlens = tokens.cu_seqlens.as<int64_t>();
    batch.pairs = tokens.pairs.as<int64_t>();
    batch.tokens = tokens.token_ids.shape[0];
    batch.sentences = tokens.cu_seqlens.shape[0] - 1;
    batch.count = tokens.pairs.shape[0];
    batch.rows = tokens.rows.as<int8_t>();
    batch.scales = tokens.scales.as<float>();
    batch.places = tokens.places.as<float>();
    batch.vocabulary = tokens.rows.shape[0];
    batch.place_count = tokens.places.shape[0];
    batch.mix = weights.mix.as<int8_t>();
    batch.mix_scales = weights.mix_scales.as<float>();
    batch.mix_bias = weights.mix_bias.as<float>();
    batch.key = weights.key.as<int8_t>();
    batch.key_scales = weights.key_scales.as<float>();
    batch.key_bias = weights.key_bias.as<float>();
    batch.fuse = weights.fuse.as<int8_t>();
    batch.fuse_scales = weights.fuse_scales.as<float>();
    batch.fuse_bias = weights.fuse_bias.as<float>();
    batch.blocks = static_cast<int>(sizes.blocks);
    batch.width = static_cast<int>(sizes.width);
    batch.key_size = static_cast<int>(sizes.key_size);
    batch.pooled = pooled;
    return batch;
  }
};

}  // namespace

const ort::CustomOp* new_encode_pairs_cuda_op(const OnlyKernel& kernel) { return new Op<Session>(kernel); }

}  // namespace cmow
