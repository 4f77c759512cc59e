// See kernels.h. Everything but the table of functions has internal linkage, and nothing of the C++ library that could be
// shared with other files is used: a function compiled for AVX-512 must not end up serving a machine without it.

#include "kernels.h"

#include <cfloat>
#include <cmath>
#include <cstring>

namespace {

#define CMOW_STRING2(name) #name
#define CMOW_STRING(name) CMOW_STRING2(name)
#define CMOW_CONCAT2(a, b) a##b
#define CMOW_CONCAT(a, b) CMOW_CONCAT2(a, b)

// Floats in the widest register, how many registers of a row one pass takes, and how many rows: as many accumulators as fit
// beside a row of B. The columns that are left over are taken four at a time.
#if defined(__AVX512F__)
constexpr int kLanes = 16, kVectors = 1, kRows = 20, kTailRows = 20;
#elif defined(__AVX2__)
constexpr int kLanes = 8, kVectors = 2, kRows = 5, kTailRows = 10;
#elif defined(__aarch64__)
constexpr int kLanes = 4, kVectors = 5, kRows = 4, kTailRows = 4;
#else
constexpr int kLanes = 4, kVectors = 5, kRows = 2, kTailRows = 2;
#endif

template <int lanes>
struct Lanes {
  typedef float type __attribute__((vector_size(lanes * sizeof(float)), aligned(alignof(float)), may_alias));
};

// c[rows, columns] = a[rows, D] @ b[D, columns] (+ addend), the accumulators held in registers.
template <int D, int rows, int lanes, int vectors, bool add>
inline __attribute__((always_inline)) void multiply_panel(float* c, const float* a, const float* b, const float* addend) {
  using Vector = typename Lanes<lanes>::type;
  Vector sums[rows][vectors];
  // Unrolled in full, `sums` needs no memory: the compiler sees no index that it does not know.
#pragma GCC unroll 32
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v)
      sums[r][v] = add ? *reinterpret_cast<const Vector*>(addend + r * D + v * lanes) : Vector{};
#pragma GCC unroll 1
  for (int k = 0; k < D; ++k) {
    Vector row[vectors];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) row[v] = *reinterpret_cast<const Vector*>(b + k * D + v * lanes);
#pragma GCC unroll 32
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v) sums[r][v] += a[r * D + k] * row[v];
  }
#pragma GCC unroll 32
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) *reinterpret_cast<Vector*>(c + r * D + v * lanes) = sums[r][v];
}

template <int D, int rows, int lanes, int vectors, bool add>
inline __attribute__((always_inline)) void multiply_columns(float* c, const float* a, const float* b, const float* addend) {
  static_assert(D % rows == 0, "every pass takes the same number of rows");
  for (int r = 0; r < D; r += rows)
    multiply_panel<D, rows, lanes, vectors, add>(c + r * D, a + r * D, b, addend + r * D);
}

// c = a @ b, or a @ b + addend. c overlaps none of the others. D = 0: the side is known at run time only.
template <int D, bool add>
void multiply(float* c, const float* a, const float* b, const float* addend, int d) {
  if constexpr (D > 0) {
    constexpr int wide = kLanes * kVectors, tail = D / wide * wide;
    for (int column = 0; column < tail; column += wide)
      multiply_columns<D, kRows, kLanes, kVectors, add>(c + column, a, b + column, addend + column);
    static_assert((D - tail) % 4 == 0, "the columns beyond the wide ones are taken in fours");
    for (int column = tail; column < D; column += 4)
      multiply_columns<D, kTailRows, 4, 1, add>(c + column, a, b + column, addend + column);
  } else {
    for (int i = 0; i < d; ++i) {
      float* __restrict row = c + i * d;
      for (int j = 0; j < d; ++j) row[j] = add ? addend[i * d + j] : 0.0f;
      for (int k = 0; k < d; ++k) {
        const float factor = a[i * d + k];
        for (int j = 0; j < d; ++j) row[j] += factor * b[k * d + j];
      }
    }
  }
}

// Inner product in a fixed order.
float dot(const float* a, const float* b, int64_t size) {
  using Vector = typename Lanes<kLanes>::type;
  constexpr int parts = 4;
  Vector sums[parts] = {};
  int64_t i = 0;
  for (; i + parts * kLanes <= size; i += parts * kLanes)
    for (int part = 0; part < parts; ++part) {
      const int64_t at = i + part * kLanes;
      sums[part] += *reinterpret_cast<const Vector*>(a + at) * *reinterpret_cast<const Vector*>(b + at);
    }
  for (; i + kLanes <= size; i += kLanes)
    sums[0] += *reinterpret_cast<const Vector*>(a + i) * *reinterpret_cast<const Vector*>(b + i);
  const Vector lanes = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  float sum = 0;
  for (int lane = 0; lane < kLanes; ++lane) sum += lanes[lane];
  for (; i < size; ++i) sum += a[i] * b[i];
  return sum;
}

void scale_into(float* out, const float* in, float scale, int64_t size) {
  for (int64_t i = 0; i < size; ++i) out[i] = in[i] * scale;
}

void add_scaled(float* __restrict out, const float* __restrict in, float scale, int64_t size) {
  for (int64_t i = 0; i < size; ++i) out[i] += scale * in[i];
}

void set_identity(float* matrix, int d) {
  std::memset(matrix, 0, sizeof(float) * d * d);
  for (int i = 0; i < d; ++i) matrix[i * d + i] = 1;
}

void transpose(float* matrix, int d) {
  for (int i = 0; i < d; ++i)
    for (int j = 0; j < i; ++j) {
      const float upper = matrix[j * d + i];
      matrix[j * d + i] = matrix[i * d + j];
      matrix[i * d + j] = upper;
    }
}

// The position in the sentence of the chain's k-th factor, and that factor's difference to the identity.
inline int64_t position(const Chain& chain, int64_t k) { return chain.reversed ? chain.length - 1 - k : k; }

inline const float* delta(const Chain& chain, int64_t k) {
  return chain.deltas + chain.token_ids[position(chain, k)] * chain.d * chain.d;
}

inline void prefetch(const Chain& chain, int64_t k) {
  if (k >= chain.length) return;
  const char* next = reinterpret_cast<const char*>(delta(chain, k));
  for (size_t byte = 0; byte < sizeof(float) * chain.d * chain.d; byte += 64) __builtin_prefetch(next + byte);
}

// Brings a product that has left the comfortable range back by a power of two, which is exact and which unit() undoes.
// Returns the factor.
float rescale(float* product, int64_t size) {
  const float squares = dot(product, product, size);
  if (squares > 0x1p-40f && squares < 0x1p40f) return 1;
  float largest = 0;
  for (int64_t i = 0; i < size; ++i) largest = std::fabs(product[i]) > largest ? std::fabs(product[i]) : largest;
  if (!(largest >= FLT_MIN && largest <= FLT_MAX)) return 1;
  int exponent;
  std::frexp(largest, &exponent);
  const float scale = std::ldexp(1.0f, exponent > -126 ? -exponent : 126);
  scale_into(product, product, scale, size);
  return scale;
}

// product = the chain's first k + 1 factors, from `previous`, its first k (unused when k = 0); returns rescale's factor.
template <int D>
float advance(const Chain& chain, int64_t k, const float* previous, float* product) {
  const int d = D > 0 ? D : chain.d;
  prefetch(chain, k + 1);
  if (k == 0) {
    std::memcpy(product, delta(chain, 0), sizeof(float) * d * d);
    for (int i = 0; i < d; ++i) product[i * d + i] += 1;
  } else {
    multiply<D, true>(product, previous, delta(chain, k), previous, d);
  }
  return rescale(product, d * d);
}

void unit(float* out, const float* product, int d) {
  const float norm = std::sqrt(dot(product, product, d * d));
  scale_into(out, product, std::sqrt(static_cast<float>(d)) / (norm > FLT_MIN ? norm : FLT_MIN), d * d);
}

// transposed += (gradient of `product` from the gradient of unit(product)), transposed. A zero product has no direction and
// gets no gradient.
void add_unit_backward(float* transposed, const float* product, const float* grad, int d) {
  const float squares = dot(product, product, d * d);
  if (!(squares > 0)) return;
  const float along = dot(product, grad, d * d) / squares;
  const float scale = std::sqrt(static_cast<float>(d) / squares);
  for (int i = 0; i < d; ++i)
    for (int j = 0; j < d; ++j) transposed[j * d + i] += scale * (grad[i * d + j] - along * product[i * d + j]);
}

template <int D>
void chain_product_of(const Chain& chain, float* out, float* scratch) {
  const int size = chain.d * chain.d;
  if (chain.length == 0) return set_identity(out, chain.d);
  for (int64_t k = 0; k < chain.length; ++k) advance<D>(chain, k, scratch + (k + 1) % 2 * size, scratch + k % 2 * size);
  unit(out, scratch + (chain.length - 1) % 2 * size, chain.d);
}

template <int D>
void chain_states_of(const Chain& chain, float* out, int64_t stride, float* scratch) {
  const int size = chain.d * chain.d;
  for (int64_t k = 0; k < chain.length; ++k) {
    float* product = scratch + k % 2 * size;
    advance<D>(chain, k, scratch + (k + 1) % 2 * size, product);
    unit(out + position(chain, k) * stride, product, chain.d);
  }
}

// With M_k = I + delta_k, P_k = s_k P_{k-1} M_k (s_k: rescale's factor), G_k the gradient of P_k and H_k = s_k G_k^T:
//   dM_k^T = H_k P_{k-1}        G_{k-1}^T = M_k H_k (+ what arrives at P_{k-1} itself)
// Keeping G transposed makes every product a plain a @ b.
template <int D>
void chain_backward_of(const Chain& chain, const float* grad, int64_t grad_stride, float* occurrences, int64_t stride,
                       float* scratch) {
  const int d = D > 0 ? D : chain.d, size = d * d;
  float* products = scratch;  // [n, d, d]
  float* now = products + chain.length * size;
  float* next = now + size;
  float* scales = next + size;  // [n]
  for (int64_t k = 0; k < chain.length; ++k)
    scales[k] = advance<D>(chain, k, products + (k - (k > 0)) * size, products + k * size);
  std::memset(now, 0, sizeof(float) * size);
  for (int64_t k = chain.length - 1; k >= 0; --k) {
    if (grad_stride != 0 || k == chain.length - 1)
      add_unit_backward(now, products + k * size, grad + position(chain, k) * grad_stride, d);
    if (scales[k] != 1) scale_into(now, now, scales[k], size);
    float* occurrence = occurrences + position(chain, k) * stride;
    if (k == 0) {
      std::memcpy(occurrence, now, sizeof(float) * size);
    } else {
      multiply<D, false>(occurrence, now, products + (k - 1) * size, now, d);
      multiply<D, true>(next, delta(chain, k), now, now, d);
      float* swap = now;
      now = next;
      next = swap;
    }
  }
}

// The paper's d = 20 has its own code; every other side shares the slower one.
void chain_product(const Chain& chain, float* out, float* scratch) {
  chain.d == 20 ? chain_product_of<20>(chain, out, scratch) : chain_product_of<0>(chain, out, scratch);
}

void chain_states(const Chain& chain, float* out, int64_t stride, float* scratch) {
  chain.d == 20 ? chain_states_of<20>(chain, out, stride, scratch) : chain_states_of<0>(chain, out, stride, scratch);
}

void chain_backward(const Chain& chain, const float* grad, int64_t grad_stride, float* occurrences, int64_t stride,
                    float* scratch) {
  chain.d == 20 ? chain_backward_of<20>(chain, grad, grad_stride, occurrences, stride, scratch)
                : chain_backward_of<0>(chain, grad, grad_stride, occurrences, stride, scratch);
}

void mean_rows(const int64_t* token_ids, int64_t length, const float* vectors, int64_t e, float* out) {
  std::memset(out, 0, sizeof(float) * e);
  for (int64_t i = 0; i < length; ++i) add_scaled(out, vectors + token_ids[i] * e, 1, e);
  if (length > 1) scale_into(out, out, 1.0f / static_cast<float>(length), e);
}

void adam_row(float* __restrict weight, float* __restrict first, float* __restrict second, const float* __restrict grad,
              int64_t size, const AdamCoefficients& coefficients) {
  const AdamCoefficients c = coefficients;
  for (int64_t i = 0; i < size; ++i) {
    first[i] += c.first_rate * (grad[i] - first[i]);
    second[i] += c.second_rate * (grad[i] * grad[i] - second[i]);
    weight[i] = c.decay * weight[i] - c.step_size * first[i] / (std::sqrt(second[i]) + c.eps);
  }
}

constexpr Kernels kKernels = {CMOW_STRING(CMOW_ISA), chain_product, chain_states, chain_backward,
                              mean_rows,             add_scaled,    transpose,    adam_row};

}  // namespace

const Kernels& CMOW_CONCAT(kernels_, CMOW_ISA)() { return kKernels; }
