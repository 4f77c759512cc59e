// ai.cmow::EncodePairs for ONNX Runtime: checks every input, packs the weights once, runs the kernel on the session's own threads.
//
//   token_ids [N], cu_seqlens [B + 1], pairs [P, 2] int64,
//   rows [V, w] int8, scales [V], places [S, w] float32,
//   mix [T, w, 3 w] int8, mix_scales [T, 3 w], mix_bias [T, w] float32,
//   key [T, w, q] int8, key_scales [T, q], key_bias [T, q] float32,
//   fuse [T, 4, w, w] int8, fuse_scales [T, 4, w], fuse_bias [T, w] float32      ->  pooled [P, 2, 2 w] float32
#include "pairs_op.h"

#include <cstdlib>
#include <optional>

#include "ort_op.h"
#include "pairs_inputs.h"
#include "pairs_schedule.h"
#include "pairs_weights.h"

namespace cmow {
namespace {

/// Place of element `index` in a tensor, as in "mix[0, 5, 17]".
std::string place_in(const Tensor& tensor, size_t index) {
  Shape places(tensor.shape.size());
  for (size_t i = places.size(); i-- > 0; index /= static_cast<size_t>(tensor.shape[i]))
    places[i] = static_cast<int64_t>(index % static_cast<size_t>(tensor.shape[i]));
  return tensor.name + text(places);
}

/// Refuses weights that would saturate the sums of processors without VNNI.
void check_weights(const Tensor& tensor) {
  size_t count = 1;
  for (const int64_t size : tensor.shape) count *= static_cast<size_t>(size);
  const auto* const weights = tensor.as<int8_t>();
  for (size_t i = 0; i < count; ++i)
    if (std::abs(int{weights[i]}) > kLargestPairWeight)
      throw InvalidInput(place_in(tensor, i) + " is " + std::to_string(int{weights[i]}) + ", outside [" +
                         std::to_string(-kLargestPairWeight) + ", " + std::to_string(kLargestPairWeight) + "]");
}

PairWeights pack(const WeightInputs& in, Packing packing) {
  const PairSizes sizes = check_weight_shapes(in);
  for (const Tensor* tensor : {&in.mix, &in.key, &in.fuse}) check_weights(*tensor);
  const PlainPairWeights plain = {in.mix.as<int8_t>(),
                                  in.mix_scales.as<float>(),
                                  in.mix_bias.as<float>(),
                                  in.key.as<int8_t>(),
                                  in.key_scales.as<float>(),
                                  in.key_bias.as<float>(),
                                  in.fuse.as<int8_t>(),
                                  in.fuse_scales.as<float>(),
                                  in.fuse_bias.as<float>(),
                                  static_cast<size_t>(sizes.blocks),
                                  static_cast<size_t>(sizes.width),
                                  static_cast<size_t>(sizes.key_size)};
  return {plain, packing};
}

/// The weights packed, if all of them are constants of the model.
std::optional<PairWeights> pack_constants(const ort::Api& api, const ort::KernelInfo* info, Packing packing) {
  for (size_t index = kMix; index < kInputs; ++index)
    if (constant_input(api, info, index) == nullptr) return std::nullopt;
  return pack(weight_inputs([&](Input index) {
    const Tensor tensor = read_tensor(api, constant_input(api, info, index), kInputNames[index]);
    check_type(tensor, index);
    return tensor;
  }), packing);
}

void check_places(const Tensor& tensor, int64_t bound) {
  const auto* const numbers = tensor.as<int64_t>();
  size_t count = 1;
  for (const int64_t size : tensor.shape) count *= static_cast<size_t>(size);
  for (size_t i = 0; i < count; ++i)
    if (numbers[i] < 0 || numbers[i] >= bound)
      throw InvalidInput(place_in(tensor, i) + " is " + std::to_string(numbers[i]) + ", outside [0, " + std::to_string(bound) + ")");
}

void check_tokens(const TokenInputs& in, size_t width) {
  check_token_shapes(in, static_cast<int64_t>(width));
  check_offsets(in.cu_seqlens, in.token_ids.shape[0], "token ids");
  check_places(in.token_ids, in.rows.shape[0]);
  check_places(in.pairs, in.cu_seqlens.shape[0] - 1);
}

/// The op's state in one session.
struct Session {
  using SessionKernel = PairKernel;
  static constexpr const char* kName = "EncodePairs";
  static constexpr const char* kProvider = "CPUExecutionProvider";
  static constexpr size_t kInputs = Input::kInputs;
  static constexpr size_t kFirstOptional = kInputs;

  const ort::Api& api;
  const PairKernel& kernel;
  const std::optional<PairWeights> constants;

  Session(const ort::Api& api, const PairKernel& kernel, const ort::KernelInfo* info)
      : api(api), kernel(kernel), constants(pack_constants(api, info, kernel.packing)) {}

  void compute(ort::KernelContext* context) const {
    const auto read = [&](Input index) {
      const Tensor tensor = read_input(api, context, index, kInputNames[index]);
      check_type(tensor, index);
      return tensor;
    };
    if (constants) return encode(context, token_inputs(read), *constants);
    encode(context, token_inputs(read), pack(weight_inputs(read), kernel.packing));
  }

  void encode(ort::KernelContext* context, const TokenInputs& in, const PairWeights& weights) const {
    check_tokens(in, weights.width());
    const int64_t pairs = in.pairs.shape[0];
    const PairModel model = {in.rows.as<int8_t>(),
                             in.scales.as<float>(),
                             in.places.as<float>(),
                             static_cast<size_t>(in.places.shape[0]),
                             weights.blocks().data(),
                             weights.blocks().size(),
                             weights.width(),
                             weights.key_size()};
    const PairTokens tokens = {in.token_ids.as<int64_t>(), in.cu_seqlens.as<int64_t>(), in.pairs.as<int64_t>(), pairs,
                               make_output(api, context, {pairs, 2, static_cast<int64_t>(2 * model.width)})};
    PairSchedule(kernel, model, tokens).run([&](size_t tasks, void (*task)(void*, size_t), void* data) {
      run_tasks(api, context, tasks, task, data);
    });
  }
};

}  // namespace

const ort::CustomOp* new_encode_pairs_op(const PairKernel& kernel) { return new Op<Session>(kernel); }

}  // namespace cmow
