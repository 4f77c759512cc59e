// ai.cmow::HybridEncode for ONNX Runtime: checks every input, runs the kernel on the session's own threads; and
// registration of all ops.
//
//   token_ids [N] int64 | int32, cu_seqlens [B + 1] int64,
//   vectors [V, e], forward_deltas [V, d, d], backward_deltas [V, d, d]: float32 | float16 | int8,
//   scales [V, 3] float32, exactly with int8 tables       ->  embedding [B, e + 2 d d] float32
#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "hybrid_encode.h"
#include "hybrid_encode_inputs.h"
#include "ort_op.h"
#include "hybrid_schedule.h"
#include "pairs_op.h"

namespace cmow {
namespace {

/// Copies N ids to int32, all of them checked to lie in [0, V).
template <class Id>
void copy_ids(const Id* ids, int64_t vocabulary, std::vector<int32_t>& out) {
  bool bad = false;
  for (size_t i = 0; i < out.size(); ++i) {
    bad |= ids[i] < 0 || ids[i] >= vocabulary;
    out[i] = static_cast<int32_t>(ids[i]);
  }
  for (size_t i = 0; bad && i < out.size(); ++i)
    if (ids[i] < 0 || ids[i] >= vocabulary)
      throw InvalidInput("token_ids[" + std::to_string(i) + "] is " + std::to_string(ids[i]) + ", outside [0, " +
                         std::to_string(vocabulary) + ")");
}

std::vector<int32_t> read_ids(const Tensor& token_ids, int64_t vocabulary) {
  if (token_ids.shape.size() != 1) wrong_shape(token_ids, "[N]");
  std::vector<int32_t> ids(static_cast<size_t>(token_ids.shape[0]));
  if (token_ids.type == ort::kInt64) copy_ids(token_ids.as<int64_t>(), vocabulary, ids);
  else if (token_ids.type == ort::kInt32) copy_ids(token_ids.as<int32_t>(), vocabulary, ids);
  else wrong_type(token_ids, "int64 or int32");
  return ids;
}

/// Runs all tasks, on the session's pool where there is more than one.
void run_schedule(const ort::Api& api, const ort::KernelContext* context, Schedule& schedule) {
  const auto encode = [](void* self, size_t i) { static_cast<const Schedule*>(self)->encode(i); };
  const auto join = [](void* self, size_t i) { static_cast<const Schedule*>(self)->join(i); };
  run_tasks(api, context, schedule.encode_tasks(), encode, &schedule);
  run_tasks(api, context, schedule.join_tasks(), join, &schedule);
}

/// The op's state in one session.
struct Session {
  using SessionKernel = Kernel;
  static constexpr const char* kName = "HybridEncode";
  static constexpr const char* kProvider = "CPUExecutionProvider";
  static constexpr size_t kInputs = Input::kInputs;
  static constexpr size_t kFirstOptional = kScales;

  const ort::Api& api;
  const Kernel& kernel;

  void compute(ort::KernelContext* context) const {
    const Tensor token_ids = read_input(api, context, kTokenIds), cu_seqlens = read_input(api, context, kCuSeqlens);
    const CheckedTables checked = read_tables(api, context);
    const std::vector<int32_t> ids = read_ids(token_ids, checked.vocabulary);
    check_offsets(cu_seqlens, token_ids.shape[0], "token ids");
    const Tables& tables = checked.tables;
    const int64_t sentences = cu_seqlens.shape[0] - 1;
    float* rows = make_output(api, context, {sentences, tables.vector_size + 2 * tables.side * tables.side});
    const bool usual = tables.side == kSide && tables.vector_size == kVector;
    Schedule schedule(usual || kernel.any_shape ? kernel : portable_kernel, tables, ids.data(), cu_seqlens.as<int64_t>(), sentences,
                      rows);
    run_schedule(api, context, schedule);
  }
};

/// Path of the CUDA library beside this one, or empty where there is none.
std::string cuda_library() {
  Dl_info self;
  if (dladdr(reinterpret_cast<const void*>(&cuda_library), &self) == 0 || self.dli_fname == nullptr) return "";
  const std::string path = self.dli_fname;
  const std::string sibling = path.substr(0, path.rfind('/') + 1) + "libhybrid_encode_cuda.so";
  return access(sibling.c_str(), F_OK) == 0 ? sibling : "";
}

/// Adds the ops of the CUDA library, if it is there, to this domain: a session takes a domain name only once, so the two
/// libraries cannot register themselves. It exports `const OrtCustomOp* cmow_cuda_op(size_t index)`, null after the last.
void add_cuda_ops(const ort::Api& api, ort::CustomOpDomain* domain) {
  const std::string path = cuda_library();
  if (path.empty()) return;
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error("cannot load " + path + ": " + dlerror());
  const auto op_at = reinterpret_cast<const ort::CustomOp* (*)(size_t)>(dlsym(library, "cmow_cuda_op"));
  if (op_at == nullptr) throw std::runtime_error(path + " has no function cmow_cuda_op");
  for (size_t i = 0; const ort::CustomOp* op = op_at(i); ++i) check(api.CustomOpDomain_Add(domain, op));
}

ort::CustomOpDomain* make_domain(const ort::Api& api, const Kernel& kernel) {
  ort::CustomOpDomain* domain = nullptr;
  check(api.CreateCustomOpDomain("ai.cmow", &domain));
  check(api.CustomOpDomain_Add(domain, new Op<Session>(kernel)));  // ops and domain live as long as the process
  check(api.CustomOpDomain_Add(domain, new_encode_pairs_op(pair_kernel_of(kernel))));
  add_cuda_ops(api, domain);
  return domain;
}

/// The domain of one kernel; ONNX Runtime keeps pointers to it, so it is made once and never released.
ort::CustomOpDomain* domain_of(const ort::Api& api, const Kernel& kernel) {
  static std::mutex mutex;
  static std::vector<std::pair<const Kernel*, ort::CustomOpDomain*>> domains;
  const std::lock_guard<std::mutex> lock(mutex);
  for (const auto& [known, domain] : domains)
    if (known == &kernel) return domain;
  domains.emplace_back(&kernel, make_domain(api, kernel));
  return domains.back().second;
}

const Kernel& kernel_from_environment() {
  const char* name = std::getenv("CMOW_ISA");
  if (const Kernel* kernel = select_kernel(name)) return *kernel;
  throw InvalidInput(std::string("CMOW_ISA is \"") + name + "\", but this machine supports " + supported_isas());
}

}  // namespace
}  // namespace cmow

#define CMOW_EXPORT extern "C" __attribute__((visibility("default")))

/// Entry point that `SessionOptions.register_custom_ops_library` calls.
CMOW_EXPORT ort::Status* RegisterCustomOps(ort::SessionOptions* options, const ort::ApiBase* base) {
  const ort::Api* api = base->GetApi(ort::kApiVersion);
  if (api == nullptr)
    return base->GetApi(1)->CreateStatus(ort::kFail, "ai.cmow: needs ONNX Runtime 1.17 or newer");
  return cmow::guarded(*api, "ai.cmow", [&] {
    cmow::check(api->AddCustomOpDomain(options, cmow::domain_of(*api, cmow::kernel_from_environment())));
  });
}

/// Name of the kernel that sessions registered now would use; null where CMOW_ISA is not one that this machine supports.
CMOW_EXPORT const char* cmow_kernel_isa() {
  const cmow::Kernel* kernel = cmow::select_kernel(std::getenv("CMOW_ISA"));
  return kernel == nullptr ? nullptr : kernel->isa;
}
