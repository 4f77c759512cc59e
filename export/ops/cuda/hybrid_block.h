// What one thread block computes: a sentence of at most kChunk tokens, a chunk of a longer one, or the product of its chunks.
//
// A row of a product is a chain of its own, since row i of P @ M needs only row i of P. So each lane keeps whole rows in its
// registers, and a group of lanes shares nothing but the next matrix. Products are associative: a block's matrices are cut into
// parts, each group multiplies one part, and the parts' products are multiplied in pairs, in pairs of pairs, and so on.
//
// Every step is written as a phase, a function of one thread, and ends in a barrier. `Threads` runs the phases: nvcc's are the
// threads of a block (hybrid_encode_cuda.cu), a test's are a loop on the host, so that all indices are tested without a GPU.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../hybrid_encode.h"

#include "device.h"

#ifdef __CUDACC__
#include <cuda_fp16.h>
#define CMOW_UNROLL _Pragma("unroll Shape::kUnroll")
#else
#include "../half.h"
#define CMOW_UNROLL
#endif

namespace cmow {

constexpr int kChunk = 256;  // tokens of a block; where a sentence is cut depends on its own length alone
constexpr int kRescaleEvery = 4;  // products between two rescalings, as on the CPU: hybrid_product.h says why that is enough

// Exponents (base 2) of the largest number of a row.
constexpr float kNoExponent = -1e9f;     // of a row of zeros
constexpr float kNotFinite = 128.0f;     // of a row with an infinity or a NaN: the exponent's bits are all set
constexpr float kInRange = 32.0f;        // up to it, either way, a row stays as it is: four more products cannot overflow
constexpr float kLargestShift = 300.0f;  // beyond float32's 2^-149 to 2^127 either way: what is shifted further is zero or infinite

/// The sizes of the trained models, known when compiling: loops unroll, rows stay in registers, loads are four elements wide.
struct BlockFixedShape {
  static constexpr int side = kSide, vector = kVector;
  static constexpr int kWide = 4;    // elements of a load
  static constexpr int kLanes = 10;  // of a group
  static constexpr int kRows = 2;    // of a lane
  static constexpr int kWidth = kSide;
  static constexpr int kWarps = 8;
  static constexpr int kBlocks = 2;        // of a multiprocessor at once, at least: bounds the registers of a thread to 128
  static constexpr int kVectorShares = 2;  // threads that share a column of the vectors
  static constexpr bool kExact = true;     // lanes divide rows and loads without a rest
  static constexpr int kUnroll = 32;       // turns of a loop, at most: all of them
};

/// Any other sizes, slowly: one group a warp.
struct BlockAnyShape {
  int side, vector;
  static constexpr int kWide = 1;
  static constexpr int kLanes = kWarp;
  static constexpr int kRows = kMaxSide / kLanes;
  static constexpr int kWidth = kMaxSide;
  static constexpr int kWarps = 2;
  static constexpr int kBlocks = 1;
  static constexpr int kVectorShares = 1;
  static constexpr bool kExact = false;
  static constexpr int kUnroll = 1;
};

template <class Shape>
struct Layout {
  static constexpr int kThreads = kWarp * Shape::kWarps;
  static constexpr int kGroups = kWarp / Shape::kLanes;     // of a warp
  static constexpr int kSlots = kGroups * Shape::kWarps;    // groups of a block
  static constexpr int kParts = kSlots / 2;                 // groups of one direction
  static constexpr int kFetches = Shape::kWidth * Shape::kWidth / Shape::kWide / Shape::kLanes;  // of a lane and matrix, at most
  static constexpr int kPad = 4;  // floats between the groups' matrices: reads of a warp's groups fall on different banks
  static_assert(kParts >= 1 && Shape::kRows * Shape::kLanes >= Shape::kWidth);

  static CMOW_DEVICE int slot_floats(Shape shape) { return 2 * shape.side * shape.side + kPad; }

  /// Bytes of shared memory: two matrices a slot, a note for each of a slot's rows, the token ids, a flag.
  static constexpr size_t shared_bytes(int side) {
    return sizeof(float) * static_cast<size_t>(kSlots * (2 * side * side + kPad + side)) + sizeof(int32_t) * (kChunk + 1);
  }
};

template <TableType type>
struct ElementOf {
  using Type = float;
};
template <>
struct ElementOf<TableType::kFloat16> {
  using Type = uint16_t;
};
template <>
struct ElementOf<TableType::kInt8> {
  using Type = int8_t;
};
template <TableType type>
using Element = typename ElementOf<type>::Type;

CMOW_DEVICE float to_float(float x) { return x; }
CMOW_DEVICE float to_float(int8_t x) { return static_cast<float>(x); }
CMOW_DEVICE float to_float(uint16_t half) {
#ifdef __CUDACC__
  return __half2float(__ushort_as_half(half));
#else
  return half_to_float(half);
#endif
}

/// Exponent of the largest |x| of a row, floor(log2): kNotFinite where one is not finite, kNoExponent where all are zero.
template <class Shape>
CMOW_DEVICE float exponent_of(const float (&row)[Shape::kWidth], Shape shape) {
  uint32_t largest = 0;
  CMOW_UNROLL
  for (int j = 0; j < shape.side; ++j) {
    uint32_t bits;
    memcpy(&bits, &row[j], sizeof bits);
    bits &= 0x7fffffffu;
    largest = bits > largest ? bits : largest;
  }
  return largest == 0 ? kNoExponent : static_cast<float>(static_cast<int>(largest >> 23) - 127);
}

/// Where a thread stands.
template <class Shape>
struct Place {
  int lane, slot, part;  // of its group, its block, its direction
  bool backward, idle;   // idle: a lane of the warp beyond its last group

  explicit CMOW_DEVICE Place(int thread) {
    const int group = thread % kWarp / Shape::kLanes;
    lane = thread % kWarp % Shape::kLanes;
    slot = thread / kWarp * Layout<Shape>::kGroups + group;
    idle = group >= Layout<Shape>::kGroups;
    backward = slot >= Layout<Shape>::kParts;
    part = backward ? slot - Layout<Shape>::kParts : slot;
  }
};

/// What a thread keeps in its registers: its rows of a product, each times a power of two, and its share of the next matrix.
template <TableType type, class Shape>
struct Lane {
  float rows[Shape::kRows][Shape::kWidth];
  float exponents[Shape::kRows];
  Pack<Element<type>, Shape::kWide> fetched[Layout<Shape>::kFetches];
  float scale;
};

/// The shared memory of a block.
struct Shared {
  float* matrices;  // [slots, 2, d, d] with padding
  float* notes;     // [slots, d]: a number for each row of a slot's product
  int32_t* ids;     // [kChunk]
  int32_t* bad;

  template <class Shape>
  static CMOW_DEVICE Shared in(void* memory, Shape shape) {
    using L = Layout<Shape>;
    float* matrices = static_cast<float*>(memory);
    float* notes = matrices + L::kSlots * L::slot_floats(shape);
    int32_t* ids = reinterpret_cast<int32_t*>(notes + L::kSlots * shape.side);
    return {matrices, notes, ids, ids + kChunk};
  }
};

/// Which table rows a block takes: tokens, or consecutive rows.
struct TokenRows {
  const int32_t* ids;
  CMOW_DEVICE int64_t operator()(int i) const { return ids[i]; }
};
struct ConsecutiveRows {
  int64_t first;
  CMOW_DEVICE int64_t operator()(int i) const { return first + i; }
};

/// What a block computes of its rows, and where to.
struct Job {
  int count;           // rows
  bool whole;          // all of a sentence: unit products; else products up to a power of two, less the identity
  float vector_scale;  // times the sum of the vectors
  float *vectors, *forward, *backward;
};

/// One block's work on `job`. The parts of a direction are runs of `per_part()` matrices, in the order of its product.
template <TableType type, class Shape, class Rows, class Threads>
class BlockProgram {
 public:
  CMOW_DEVICE BlockProgram(const Tables& tables, Shape shape, Rows rows, Job job, Shared shared, Threads& threads)
      : tables_(tables), shape_(shape), row_at_(rows), job_(job), shared_(shared), threads_(threads) {}

  CMOW_DEVICE void run() {
    add_vectors();
    if (job_.count == 0) return write_identities();
    multiply_parts();
    multiply_pairs();
    write_products();
  }

 private:
  using L = Layout<Shape>;
  using LaneState = Lane<type, Shape>;
  using Where = Place<Shape>;
  using Fetch = Pack<Element<type>, Shape::kWide>;
  using Floats = Pack<float, Shape::kWide>;

  CMOW_DEVICE int per_part() const { return (job_.count + L::kParts - 1) / L::kParts; }
  CMOW_DEVICE int parts() const { return (job_.count + per_part() - 1) / per_part(); }
  CMOW_DEVICE int part_size(int part) const {
    const int rest = job_.count - part * per_part();
    return rest < per_part() ? rest : per_part();
  }

  CMOW_DEVICE float* matrix(int slot, int which) const {
    return shared_.matrices + slot * L::slot_floats(shape_) + which * shape_.side * shape_.side;
  }
  CMOW_DEVICE float* notes(const Where& at) const { return shared_.notes + at.slot * shape_.side; }

  CMOW_DEVICE float scale_at(int64_t row, int column) const {
    return type == TableType::kInt8 ? tables_.scales[3 * row + column] : 1.0f;
  }

  /// Calls body(r, row) for the rows that a lane has.
  template <class Body>
  CMOW_DEVICE void each_row(const Where& at, Body body) const {
    CMOW_UNROLL
    for (int r = 0; r < Shape::kRows; ++r) {
      const int row = at.lane + r * Shape::kLanes;
      if (Shape::kExact || row < shape_.side) body(r, row);
    }
  }

  /// The sum of the vectors times vector_scale. Two threads share a column, one takes the even tokens and one the odd ones.
  CMOW_DEVICE void add_vectors() {
    constexpr int kColumns = L::kThreads / Shape::kVectorShares;
    threads_.block([&](LaneState&, int thread) {
      const int share = thread / kColumns;
      for (int column = thread % kColumns; column < shape_.vector / Shape::kWide; column += kColumns) {
        const Floats sum = sum_of_column(column, share);
        if (share == 0) put(job_.vectors, column, sum);
        else put(shared_.matrices, column, sum);
      }
    });
    threads_.block([&](LaneState&, int thread) {
      if (thread >= kColumns) return;
      for (int column = thread; column < shape_.vector / Shape::kWide; column += kColumns) {
        Floats sum = get(job_.vectors, column);
        if (Shape::kVectorShares > 1) add(sum, get(shared_.matrices, column), 1.0f);
        CMOW_UNROLL
        for (float& x : sum.at) x *= job_.vector_scale;
        put(job_.vectors, column, sum);
      }
    });
  }

  CMOW_DEVICE Floats sum_of_column(int column, int share) const {
    Floats sum = {};
#ifdef __CUDACC__
#pragma unroll 8
#endif
    for (int i = share; i < job_.count; i += Shape::kVectorShares) {
      const int64_t row = row_at_(i);
      const auto* elements = static_cast<const Element<type>*>(tables_.vectors) + row * shape_.vector;
      add(sum, reinterpret_cast<const Fetch*>(elements)[column], scale_at(row, 0));
    }
    return sum;
  }

  template <class T>
  static CMOW_DEVICE void add(Floats& sum, const Pack<T, Shape::kWide>& x, float scale) {
    CMOW_UNROLL
    for (int c = 0; c < Shape::kWide; ++c) sum.at[c] += scale * to_float(x.at[c]);
  }
  static CMOW_DEVICE Floats get(const float* from, int at) { return reinterpret_cast<const Floats*>(from)[at]; }
  static CMOW_DEVICE void put(float* to, int at, const Floats& x) { reinterpret_cast<Floats*>(to)[at] = x; }

  CMOW_DEVICE void write_identities() {
    threads_.block([&](LaneState&, int thread) {
      for (int i = thread; i < shape_.side * shape_.side; i += L::kThreads)
        job_.forward[i] = job_.backward[i] = i / shape_.side == i % shape_.side ? 1.0f : 0.0f;
    });
  }

  /// Each group's product of its own part. While one matrix is multiplied, the next is on its way to the registers; the two
  /// matrices in shared memory take turns, so that one barrier a step is enough.
  CMOW_DEVICE void multiply_parts() {
    threads_.warps([&](LaneState& lane, int thread) {
      const Where at(thread);
      if (!at.idle && part_size(at.part) > 0) fetch(lane, at, 0);
    });
    for (int step = 0; step < per_part(); ++step) {
      threads_.warps([&](LaneState& lane, int thread) {
        const Where at(thread);
        if (at.idle || step >= part_size(at.part)) return;
        widen(lane, at, matrix(at.slot, step % 2));
        if (step + 1 < part_size(at.part)) fetch(lane, at, step + 1);
      });
      threads_.warps_free([&](LaneState& lane, int thread) {
        const Where at(thread);
        if (at.idle || step >= part_size(at.part)) return;
        if (step == 0) start(lane, at, matrix(at.slot, 0));
        else multiply<true>(lane, matrix(at.slot, step % 2));
        if (step % kRescaleEvery == kRescaleEvery - 1) rescale(lane, at);
      });
    }
    threads_.block([&](LaneState& lane, int thread) { note_exponents(lane, Where(thread), parts()); });
    threads_.block([&](LaneState& lane, int thread) { align(lane, Where(thread), parts()); });
  }

  /// Asks for the lane's share of matrix `step` of its part.
  CMOW_DEVICE void fetch(LaneState& lane, const Where& at, int step) const {
    const int position = at.part * per_part() + step;
    const int64_t row = row_at_(at.backward ? job_.count - 1 - position : position);
    const int size = shape_.side * shape_.side;
    const auto* table = static_cast<const Element<type>*>(at.backward ? tables_.backward : tables_.forward);
    const auto* packs = reinterpret_cast<const Fetch*>(table + row * size);
    lane.scale = scale_at(row, at.backward ? 2 : 1);
    each_fetch(at, [&](int i, int pack) { lane.fetched[i] = packs[pack]; });
  }

  /// Writes what was fetched as float32.
  CMOW_DEVICE void widen(const LaneState& lane, const Where& at, float* to) const {
    each_fetch(at, [&](int i, int pack) {
      Floats x;
      CMOW_UNROLL
      for (int c = 0; c < Shape::kWide; ++c) x.at[c] = lane.scale * to_float(lane.fetched[i].at[c]);
      put(to, pack, x);
    });
  }

  template <class Body>
  CMOW_DEVICE void each_fetch(const Where& at, Body body) const {
    CMOW_UNROLL
    for (int i = 0; i < L::kFetches; ++i) {
      const int pack = at.lane + i * Shape::kLanes;
      if (Shape::kExact || pack < shape_.side * shape_.side / Shape::kWide) body(i, pack);
    }
  }

  CMOW_DEVICE void start(LaneState& lane, const Where& at, const float* delta) const {
    each_row(at, [&](int r, int row) {
      lane.exponents[r] = 0.0f;
      CMOW_UNROLL
      for (int j = 0; j < shape_.side; ++j) lane.rows[r][j] = delta[row * shape_.side + j] + (j == row ? 1.0f : 0.0f);
    });
  }

  /// rows <- rows @ right, or rows + rows @ right: the sum of the small products first, or each would round like the large row.
  template <bool plus_rows>
  CMOW_DEVICE void multiply(LaneState& lane, const float* right) const {
    float sums[Shape::kRows][Shape::kWidth] = {};
    CMOW_UNROLL
    for (int k = 0; k < shape_.side; ++k)
      CMOW_UNROLL
      for (int pack = 0; pack < shape_.side / Shape::kWide; ++pack) {
        const Floats factors = get(right, k * (shape_.side / Shape::kWide) + pack);
        CMOW_UNROLL
        for (int r = 0; r < Shape::kRows; ++r)
          CMOW_UNROLL
          for (int c = 0; c < Shape::kWide; ++c) sums[r][pack * Shape::kWide + c] += lane.rows[r][k] * factors.at[c];
      }
    CMOW_UNROLL
    for (int r = 0; r < Shape::kRows; ++r)
      CMOW_UNROLL
      for (int j = 0; j < shape_.side; ++j) lane.rows[r][j] = sums[r][j] + (plus_rows ? lane.rows[r][j] : 0.0f);
  }

  /// Brings rows back into range, each by its own exact power of two.
  CMOW_DEVICE void rescale(LaneState& lane, const Where& at) const {
    each_row(at, [&](int r, int) {
      const float exponent = exponent_of(lane.rows[r], shape_);
      if (fabsf(exponent) <= kInRange || exponent == kNoExponent || exponent == kNotFinite) return;
      shift(lane.rows[r], -exponent);
      lane.exponents[r] += exponent;
    });
  }

  CMOW_DEVICE void shift(float (&row)[Shape::kWidth], float exponent) const {
    const int power = static_cast<int>(fmaxf(fminf(exponent, kLargestShift), -kLargestShift));
    CMOW_UNROLL
    for (int j = 0; j < shape_.side; ++j) row[j] = ldexpf(row[j], power);
  }

  /// First half of aligning the products of the first `parts` slots of each direction: the exponent of each row.
  CMOW_DEVICE void note_exponents(const LaneState& lane, const Where& at, int parts) const {
    if (at.idle || at.part >= parts) return;
    each_row(at, [&](int r, int row) {
      const float exponent = exponent_of(lane.rows[r], shape_);
      notes(at)[row] = exponent == kNoExponent ? kNoExponent : lane.exponents[r] + exponent;
    });
  }

  /// Second half: one power of two for all rows, the largest number getting between 1 and 2; and a copy in shared memory.
  /// What a product loses by it, any power of two, makes no difference to its unit product.
  CMOW_DEVICE void align(LaneState& lane, const Where& at, int parts) const {
    if (at.idle || at.part >= parts) return;
    float largest = kNoExponent;
    for (int row = 0; row < shape_.side; ++row) largest = fmaxf(largest, notes(at)[row]);
    each_row(at, [&](int r, int row) {
      shift(lane.rows[r], lane.exponents[r] - largest);
      CMOW_UNROLL
      for (int j = 0; j < shape_.side; ++j) matrix(at.slot, 0)[row * shape_.side + j] = lane.rows[r][j];
    });
  }

  /// The product of all parts, in the first slot of each direction: slot i takes the products of slots 2i and 2i + 1.
  CMOW_DEVICE void multiply_pairs() {
    for (int left = parts(); left > 1; left = (left + 1) / 2) {
      threads_.block([&](LaneState& lane, int thread) {
        const Where at(thread);
        if (at.idle || 2 * at.part >= left) return;
        load(lane, at, matrix(at.slot + at.part, 0));
        if (2 * at.part + 1 < left) multiply<false>(lane, matrix(at.slot + at.part + 1, 0));
        note_exponents(lane, at, left);
      });
      threads_.block([&](LaneState& lane, int thread) { align(lane, Where(thread), (left + 1) / 2); });
    }
  }

  CMOW_DEVICE void load(LaneState& lane, const Where& at, const float* product) const {
    each_row(at, [&](int r, int row) {
      lane.exponents[r] = 0.0f;
      CMOW_UNROLL
      for (int j = 0; j < shape_.side; ++j) lane.rows[r][j] = product[row * shape_.side + j];
    });
  }

  CMOW_DEVICE void write_products() {
    threads_.block([&](LaneState& lane, int thread) {
      const Where at(thread);
      if (at.idle || at.part > 0) return;
      each_row(at, [&](int r, int row) {
        float squares = 0.0f;
        CMOW_UNROLL
        for (int j = 0; j < shape_.side; ++j) squares += lane.rows[r][j] * lane.rows[r][j];
        notes(at)[row] = squares;
      });
    });
    threads_.block([&](LaneState& lane, int thread) {
      const Where at(thread);
      if (at.idle || at.part > 0) return;
      const float factor = job_.whole ? unit_factor(notes(at)) : 1.0f;
      float* const product = at.backward ? job_.backward : job_.forward;
      each_row(at, [&](int r, int row) {
        CMOW_UNROLL
        for (int j = 0; j < shape_.side; ++j)
          product[row * shape_.side + j] = factor * lane.rows[r][j] - (!job_.whole && j == row ? 1.0f : 0.0f);
      });
    });
  }

  /// sqrt(d) / norm; a product of zero stays zero.
  CMOW_DEVICE float unit_factor(const float* squares) const {
    float sum = 0.0f;
    for (int row = 0; row < shape_.side; ++row) sum += squares[row];
    return sum == 0.0f ? 0.0f : sqrtf(static_cast<float>(shape_.side) / sum);
  }

  const Tables tables_;
  const Shape shape_;
  const Rows row_at_;
  const Job job_;
  const Shared shared_;
  Threads& threads_;
};

}  // namespace cmow
