// The order of work that all kernels share: one stream of matrix steps over many segments.
//
// The two directions of a token alternate (F1 B1 F2 B2 ...), so that neighbouring steps do not wait for each other. While one
// step multiplies, its kernel widens the next step's matrix to float32 and fetches the rows of the step after those from
// memory: an instruction set only provides the inner functions (see `encode_stream`).
#pragma once

#include "hybrid_product.h"

namespace cmow {
namespace {

constexpr size_t kAhead = 4;  // steps between fetching a row and using it: two tokens, about 0.6 us
constexpr size_t kRing = 8;   // a power of two above kAhead
constexpr int kPieces = 25;   // a step's side work comes in this many pieces
constexpr int kLine = 64;     // bytes in a cache line

constexpr int element_size(TableType type) { return type == TableType::kFloat32 ? 4 : type == TableType::kFloat16 ? 2 : 1; }

constexpr int lines_of(int bytes) { return (bytes + kLine - 1) / kLine; }

/// Asks for `count` cache lines of a row, from line `first` on.
CMOW_INLINE void fetch(const char* row, int first, int count) {
#pragma GCC unroll 32
  for (int i = 0; i < count; ++i) __builtin_prefetch(row + kLine * (first + i));
}

/// One product step: product += scale * (product @ delta), and on the way forward row += vector_scale * vector.
struct Step {
  const char* delta;
  const char* vector;    // null on the way backward
  const char* to_fetch;  // half of a vector row that this step's turn in memory traffic has room for
  float scale;
  float vector_scale;
  const Segment* segment;
  int64_t position;  // 0 for the segment's first step, whose product is I + scale * delta
  bool backward;

  bool last() const { return position + 1 == segment->end - segment->begin; }
};

/// Walks the steps of `count` segments.
template <TableType type, class Shape>
class StepStream {
 public:
  StepStream(const Tables& tables, const Segment* segments, size_t count, Parts parts, Shape shape)
      : tables_(tables), segment_(segments), end_(segments + count), parts_(parts),
        matrix_bytes_(static_cast<size_t>(shape.side) * shape.side * element_size(type)),
        vector_bytes_(static_cast<size_t>(shape.vector) * element_size(type)),
        to_fetch_(static_cast<const char*>(tables.vectors)), backward_(!(parts & kForward)) {
    skip_empty();
  }

  /// Writes the next step, or returns false at the end.
  bool next(Step& step) {
    if (segment_ == end_) return false;
    const size_t id = static_cast<size_t>(backward_ ? segment_->end[-1 - position_] : segment_->begin[position_]);
    const char* matrices = static_cast<const char*>(backward_ ? tables_.backward : tables_.forward);
    step.delta = matrices + id * matrix_bytes_;
    step.vector = backward_ ? nullptr : static_cast<const char*>(tables_.vectors) + id * vector_bytes_;
    step.to_fetch = to_fetch_ = backward_ ? to_fetch_ + vector_bytes_ / 2 : step.vector;
    step.scale = type == TableType::kInt8 ? tables_.scales[3 * id + (backward_ ? 2 : 1)] : 1.0f;
    step.vector_scale = type == TableType::kInt8 ? tables_.scales[3 * id] : 1.0f;
    step.segment = segment_;
    step.position = position_;
    step.backward = backward_;
    advance();
    return true;
  }

 private:
  void advance() {
    if (parts_ == kBoth) {
      backward_ = !backward_;
      if (backward_) return;
    }
    if (++position_ < segment_->end - segment_->begin) return;
    position_ = 0;
    ++segment_;
    skip_empty();
  }

  void skip_empty() {
    while (segment_ != end_ && segment_->begin == segment_->end) ++segment_;
  }

  const Tables& tables_;
  const Segment* segment_;
  const Segment* const end_;
  const Parts parts_;
  const size_t matrix_bytes_, vector_bytes_;
  const char* to_fetch_;
  bool backward_;
  int64_t position_ = 0;
};

/// What a step does beside its multiplication: all at once, or in kPieces pieces that the kernel spreads through its inner loop.
template <class Isa, TableType type, class Shape>
struct SideWork {
  const Step& now;
  const Step& next;
  const Step& ahead;
  float* next_matrix;  // takes the next step's matrix as float32
  Shape shape;

  /// Piece number `piece`. The sizes are divisible by kPieces, and no row has more cache lines than that.
  CMOW_INLINE void operator()(int piece) const {
    const int elements = shape.side * shape.side / kPieces, vector = shape.vector / kPieces;
    compute(piece * elements, elements, piece * vector, vector);
    fetch(ahead.delta, piece, piece < matrix_lines());
    fetch(ahead.to_fetch, piece, piece < vector_lines());
  }

  void all() const {
    compute(0, shape.side * shape.side, 0, shape.vector);
    fetch(ahead.delta, 0, matrix_lines());
    fetch(ahead.to_fetch, 0, vector_lines());
  }

 private:
  CMOW_INLINE void compute(int element, int elements, int first, int count) const {
    constexpr int kBytes = element_size(type);
    if (type != TableType::kFloat32)
      Isa::template widen<type>(next.delta + element * kBytes, next_matrix + element, elements);
    if (now.vector)
      Isa::template add_scaled<type>(now.vector + first * kBytes, now.vector_scale, now.segment->row + first, count);
  }

  CMOW_INLINE int matrix_lines() const { return lines_of(shape.side * shape.side * element_size(type)); }
  CMOW_INLINE int vector_lines() const { return lines_of(shape.vector * element_size(type) / 2); }
};

template <TableType type>
inline const float* matrix_of(const Step& step, const float* widened) {
  return type == TableType::kFloat32 ? reinterpret_cast<const float*>(step.delta) : widened;
}

/// A segment's last step is done: writes its product to its row.
template <class Isa, class Shape>
inline void finish(const Step& step, float* product, Isa isa, Shape shape) {
  const Segment& segment = *step.segment;
  const int size = shape.side * shape.side;
  float* out = segment.row + shape.vector + (step.backward ? size : 0);
  isa.store(product, out);
  if (segment.whole) make_unit(out, shape.side); else rescale(out, size);
  if (segment.whole && !step.backward)
    scale_by(segment.row, shape.vector, 1.0f / static_cast<float>(segment.end - segment.begin));
}

/// Kernel::encode for one instruction set, table type and shape. `Isa` provides
///   widen<type>(row, out, count)                  out = `count` elements of a table row as float32, unscaled
///   add_scaled<type>(row, scale, sums, count)     sums += scale * row
///   start(product, delta, scale)                  product = I + scale * delta; the product's layout is the kernel's own
///   step<type>(product, delta, scale, side_work)  product += scale * (product @ delta)
///   in_range(product, count)                      whether the product needs no `rescale`
///   store(product, out)                           out = the product, row-major
template <TableType type, class Isa, class Shape>
inline void encode_stream(const Tables& tables, const Segment* segments, size_t count, Parts parts, Isa isa, Shape shape) {
  constexpr int kSize = Isa::kLargestSide * Isa::kLargestSide;
  alignas(64) float products[2][kSize];
  alignas(64) float widened[2][kSize];
  for (size_t s = 0; s < count; ++s)
    if (segments[s].begin == segments[s].end) set_empty(segments[s].row, shape.side, shape.vector, parts);

  StepStream<type, Shape> stream(tables, segments, count, parts, shape);
  Step ring[kRing];
  size_t known = 0;
  while (known < kAhead && stream.next(ring[known])) ++known;
  if (known == 0) return;
  const int size = shape.side * shape.side;
  for (size_t i = 0; i < known; ++i) fetch(ring[i].delta, 0, lines_of(size * element_size(type)));
  if (type != TableType::kFloat32) Isa::template widen<type>(ring[0].delta, widened[0], size);

  for (size_t i = 0; i < known; ++i) {
    if (stream.next(ring[known % kRing])) ++known;
    const Step& now = ring[i % kRing];
    const Step& next = ring[(i + 1 < known ? i + 1 : i) % kRing];
    const SideWork<Isa, type, Shape> side_work{now, next, ring[(known - 1) % kRing], widened[(i + 1) % 2], shape};
    const float* delta = matrix_of<type>(now, widened[i % 2]);
    float* product = products[now.backward];
    if (now.position == 0) {
      if (now.vector) memset(now.segment->row, 0, sizeof(float) * static_cast<size_t>(shape.vector));
      isa.start(product, delta, now.scale);
      side_work.all();
    } else {
      isa.template step<type>(product, delta, now.scale, side_work);
    }
    if (now.position % kRescaleEvery == kRescaleEvery - 1 && !isa.in_range(product, size)) rescale(product, size);
    if (now.last()) finish(now, product, isa, shape);
  }
}

/// Chooses the table type of `encode_stream`.
template <class Isa, class Shape>
inline void encode_tables(const Tables& tables, const Segment* segments, size_t count, Parts parts, Isa isa, Shape shape) {
  switch (tables.type) {
    case TableType::kFloat32: return encode_stream<TableType::kFloat32>(tables, segments, count, parts, isa, shape);
    case TableType::kFloat16: return encode_stream<TableType::kFloat16>(tables, segments, count, parts, isa, shape);
    case TableType::kInt8: return encode_stream<TableType::kInt8>(tables, segments, count, parts, isa, shape);
  }
}

}  // namespace
}  // namespace cmow
