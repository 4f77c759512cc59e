// A vocabulary: strings with numbers, found by the hash of their bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "utf8.h"

namespace cmow {

/// Strings as the caller hands them over: one after the other in `utf8`, with `sizes` in bytes, and an id for each.
struct Strings {
  const Byte* utf8;
  const int64_t* sizes;  // [count]
  const int64_t* ids;    // [count], 0 or more
  int64_t count;
};

/// One byte at a time, so that all prefixes of a string are hashed in one pass. The factor is 2^64 over the golden ratio
/// (Knuth, The Art of Computer Programming 3, 6.4): its high bits depend on every bit of the last byte too.
inline uint64_t hash_step(uint64_t hash, Byte byte) { return (hash ^ byte) * 0x9E3779B97F4A7C15; }
constexpr uint64_t kHashSeed = 0x9E3779B97F4A7C15;

class Pieces {
 public:
  static constexpr int64_t kNone = -1;

  explicit Pieces(const Strings& strings) {
    int bits = 1;
    while ((int64_t{1} << bits) < 2 * strings.count) ++bits;  // half of the slots stay empty, so that a search ends soon
    shift_ = 64 - bits;
    slots_.resize(size_t{1} << bits);
    const Byte* bytes = strings.utf8;
    for (int64_t i = 0; i < strings.count; bytes += strings.sizes[i++]) add(bytes, strings.sizes[i], strings.ids[i]);
  }

  /// Bytes of the longest piece.
  int64_t longest() const { return longest_; }

  /// The id of the piece with these bytes and this hash, or `kNone`.
  int64_t find(uint64_t hash, const Byte* bytes, int64_t size) const {
    for (size_t at = hash >> shift_;; at = (at + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[at];
      if (slot.end == 0) return kNone;
      if (slot.tag == static_cast<uint32_t>(hash) && slot.size == size && std::memcmp(&pool_[slot.end - size], bytes, size) == 0)
        return slot.id;
    }
  }

 private:
  struct Slot {
    uint32_t tag = 0;  // low bits of the hash, to compare few bytes in vain
    uint32_t end = 0;  // where the bytes end in the pool; 0: no piece
    int32_t id = 0;
    uint16_t size = 0;
  };

  void add(const Byte* bytes, int64_t size, int64_t id) {
    uint64_t hash = kHashSeed;
    for (int64_t i = 0; i < size; ++i) hash = hash_step(hash, bytes[i]);
    size_t at = hash >> shift_;
    while (slots_[at].end != 0) at = (at + 1) & (slots_.size() - 1);
    pool_.insert(pool_.end(), bytes, bytes + size);
    slots_[at] = {static_cast<uint32_t>(hash), static_cast<uint32_t>(pool_.size()), static_cast<int32_t>(id), static_cast<uint16_t>(size)};
    longest_ = std::max(longest_, size);
  }

  int shift_ = 0;
  int64_t longest_ = 0;
  std::vector<Slot> slots_;
  std::vector<Byte> pool_;
};

}  // namespace cmow
