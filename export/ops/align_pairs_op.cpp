// ai.cmow::AlignPairs for ONNX Runtime: checks every input, runs the kernel on the session's own threads.
//
//   keys [N, q], values [N, k] float32, cu_seqlens [B + 1], pairs [Q, 2] int64,
//   weight [4 k, h], bias [h] float32                     ->  pooled [Q, 2, 2 h] float32
#include "align_pairs_op.h"

#include <cstring>

#include "align_pairs_inputs.h"
#include "align_schedule.h"
#include "ort_op.h"

namespace cmow {
namespace {

void check_pairs(const Tensor& pairs, int64_t sentences) {
  const auto* rows = pairs.as<int64_t>();
  for (int64_t i = 0; i < 2 * pairs.shape[0]; ++i)
    if (rows[i] < 0 || rows[i] >= sentences)
      throw InvalidInput("pairs[" + std::to_string(i / 2) + ", " + std::to_string(i % 2) + "] is " + std::to_string(rows[i]) +
                         ", outside [0, " + std::to_string(sentences) + ")");
}

/// Checks all shapes and all numbers that are places, and returns the sizes, not yet padded.
Comparison check_inputs(const Inputs& in) {
  const Comparison comparison = check_shapes(in);
  check_offsets(in.cu_seqlens, in.keys.shape[0], "rows of keys");
  check_pairs(in.pairs, in.cu_seqlens.shape[0] - 1);
  return comparison;
}

/// A matrix whose rows, in groups of `group`, are padded with zeros: columns to `width`, groups to `padded_group` rows.
/// Without anything to pad, the matrix itself.
class Padded {
 public:
  Padded(const float* rows, size_t count, size_t columns, size_t width, size_t group = 1, size_t padded_group = 1) : rows_(rows) {
    if (columns == width && group == padded_group) return;
    copy_.resize(count / group * padded_group * width);
    for (size_t i = 0; i < count; ++i)
      std::memcpy(copy_.data() + (i / group * padded_group + i % group) * width, rows + i * columns, columns * sizeof(float));
    rows_ = copy_.data();
  }

  const float* data() const { return rows_; }

 private:
  const float* rows_;
  std::vector<float> copy_;
};

size_t padded_size(size_t size) { return (size + kAlignLanes - 1) / kAlignLanes * kAlignLanes; }

/// The op's state in one session.
struct Session {
  using SessionKernel = AlignKernel;
  static constexpr const char* kName = "AlignPairs";
  static constexpr const char* kProvider = "CPUExecutionProvider";
  static constexpr size_t kInputs = Input::kInputs;
  static constexpr size_t kFirstOptional = kInputs;

  const ort::Api& api;
  const AlignKernel& kernel;

  void compute(ort::KernelContext* context) const {
    const Inputs in(api, context);
    const Comparison exact = check_inputs(in);
    const size_t k = padded_size(exact.value_size), h = padded_size(exact.size), tokens = static_cast<size_t>(in.keys.shape[0]);
    const int64_t pairs = in.pairs.shape[0];
    float* const pooled = make_output(api, context, {pairs, 2, static_cast<int64_t>(2 * exact.size)});
    const Padded values(in.values.as<float>(), tokens, exact.value_size, k);
    const Padded weight(exact.weight, 4 * exact.value_size, exact.size, h, exact.value_size, k);
    const Padded bias(exact.bias, 1, exact.size, h);
    const Comparison comparison = {weight.data(), bias.data(), exact.key_size, k, h};
    const PairBatch batch = {in.keys.as<float>(), values.data(), in.cu_seqlens.as<int64_t>(), in.pairs.as<int64_t>(), pairs, pooled,
                             exact.size};
    AlignSchedule schedule(kernel, comparison, batch);
    const auto work = [](void* self, size_t worker) { static_cast<AlignSchedule*>(self)->work(worker); };
    run_tasks(api, context, schedule.workers(), work, &schedule);
    schedule.join();
  }
};

}  // namespace

const ort::CustomOp* new_align_pairs_op(const AlignKernel& kernel) { return new Op<Session>(kernel); }

}  // namespace cmow
