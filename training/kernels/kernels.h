// The arithmetic of one sentence or one row, compiled once per instruction set. No threads, no checks, no allocation.
//
// Letters: d matrix side, e vector size, n tokens of the sentence. Matrices are row-major float32 without gaps.
#pragma once

#include <cstdint>

// One sentence read in one direction: P_k = P_{k-1} @ (I + deltas[token k]), where token 0 is the sentence's first one, or
// its last one when `reversed` (the product R[tn] @ ... @ R[t1] is the same recurrence on the reversed sentence).
struct Chain {
  const int64_t* token_ids;  // [n]
  int64_t length;            // n
  const float* deltas;       // [V, d, d]
  int d;
  bool reversed;
};

struct AdamCoefficients {
  float step_size;  // learning rate with both bias corrections
  float first_rate;   // 1 - beta1, not beta1: float32 holds 0.001 five digits better than 1 - 0.999
  float second_rate;  // 1 - beta2
  float eps;
  float decay;  // factor on the weights before the step: 1 - learning rate * weight decay
};

struct Kernels {
  const char* isa;

  // out [d, d] = unit(P_n); the identity when n = 0. scratch: 2 d^2 floats.
  void (*chain_product)(const Chain& chain, float* out, float* scratch);

  // out[i * stride] [d, d] = unit(P) after token i of the sentence (from whichever end). scratch: 2 d^2 floats.
  void (*chain_states)(const Chain& chain, float* out, int64_t stride, float* scratch);

  // occurrences[i * stride] [d, d] = transposed gradient of token i's matrix, from `grad`: that of chain_product's result
  // [d, d] when grad_stride = 0, else that of chain_states' results. scratch: (n + 2) d^2 + n floats.
  void (*chain_backward)(const Chain& chain, const float* grad, int64_t grad_stride, float* occurrences, int64_t stride,
                         float* scratch);

  // out [e] = mean of the n rows; zeros when n = 0.
  void (*mean_rows)(const int64_t* token_ids, int64_t length, const float* vectors, int64_t e, float* out);

  // out[i] += scale * in[i].
  void (*add_scaled)(float* out, const float* in, float scale, int64_t size);

  void (*transpose)(float* matrix, int d);

  void (*adam_row)(float* weight, float* first, float* second, const float* grad, int64_t size,
                   const AdamCoefficients& coefficients);
};

const Kernels& kernels_portable();
const Kernels& kernels_avx2();
const Kernels& kernels_avx512();
