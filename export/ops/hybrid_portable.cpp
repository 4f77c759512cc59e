// Plain C++: any shape on any machine. With the usual shape (d = 20) the loops have fixed bounds, so that the compiler
// vectorises them for whatever the target offers (NEON on aarch64).
#include "half.h"
#include "hybrid_steps.h"

namespace cmow {
namespace {

template <TableType type>
inline float element(const char* row, int i) {
  if constexpr (type == TableType::kFloat32) {
    return reinterpret_cast<const float*>(row)[i];
  } else if constexpr (type == TableType::kFloat16) {
    return half_to_float(reinterpret_cast<const uint16_t*>(row)[i]);
  } else {
    return static_cast<float>(reinterpret_cast<const int8_t*>(row)[i]);
  }
}

template <class Shape>
struct Portable {
  static constexpr int kLargestSide = kMaxSide;
  Shape shape;

  template <TableType type>
  static void widen(const char* row, float* __restrict out, int count) {
    for (int i = 0; i < count; ++i) out[i] = element<type>(row, i);
  }

  template <TableType type>
  static void add_scaled(const char* row, float scale, float* __restrict sums, int count) {
    for (int i = 0; i < count; ++i) sums[i] += scale * element<type>(row, i);
  }

  void start(float* __restrict product, const float* delta, float scale) const {
    for (int i = 0; i < shape.side * shape.side; ++i) product[i] = scale * delta[i];
    for (int i = 0; i < shape.side; ++i) product[i * shape.side + i] += 1.0f;
  }

  static bool in_range(const float* product, int count) { return cmow::in_range(product, count); }

  void store(const float* product, float* out) const {
    memcpy(out, product, sizeof(float) * static_cast<size_t>(shape.side) * static_cast<size_t>(shape.side));
  }

  /// Replaces one row of the product, which needs only the same row of the old one.
  void step_row(float* __restrict row, const float* __restrict delta, float scale) const {
    float sums[kMaxSide] = {};
    for (int k = 0; k < shape.side; ++k)
      for (int j = 0; j < shape.side; ++j) sums[j] += row[k] * delta[k * shape.side + j];
    for (int j = 0; j < shape.side; ++j) row[j] += scale * sums[j];
  }

  template <TableType type, class SideWork>
  void step(float* product, const float* delta, float scale, const SideWork& side_work) const {
    side_work.all();
    for (int i = 0; i < shape.side; ++i) step_row(product + i * shape.side, delta, scale);
  }
};

template <class Shape>
void encode_shape(const Tables& tables, const Segment* segments, size_t count, Parts parts, Shape shape) {
  encode_tables(tables, segments, count, parts, Portable<Shape>{shape}, shape);
}

bool usual(const Tables& tables) { return tables.side == kSide && tables.vector_size == kVector; }

void encode(const Tables& tables, const Segment* segments, size_t count, Parts parts) {
  if (usual(tables)) return encode_shape(tables, segments, count, parts, FixedShape{});
  encode_shape(tables, segments, count, parts, AnyShape{tables.side, tables.vector_size});
}

void join(const Tables& tables, const float* rows, size_t count, int64_t length, Parts parts, float* row) {
  if (usual(tables)) return join_rows(rows, count, length, parts, row, FixedShape{});
  join_rows(rows, count, length, parts, row, AnyShape{tables.side, tables.vector_size});
}

}  // namespace

const Kernel portable_kernel = {"portable", true, encode, join};

}  // namespace cmow
