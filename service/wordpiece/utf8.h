// UTF-8 that need not be valid.
#pragma once

#include <cstdint>

namespace cmow {

using Byte = uint8_t;

constexpr char32_t kInvalid = 0xFFFFFFFF;

inline bool continues(Byte byte) { return (byte & 0xC0) == 0x80; }

/// The character at `at`, which moves past it; `kInvalid` unless it is whole and of the right form before `end`.
/// Overlong forms and surrogates pass: what they decode to is for the table of characters to judge.
inline char32_t decode(const Byte*& at, const Byte* end) {
  const Byte lead = *at++;
  if (lead < 0x80) return lead;
  const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  if (lead < 0xC0 || lead > 0xF7 || end - at < more) return kInvalid;
  char32_t code = lead & (0x3F >> more);
  for (int i = 0; i < more; ++i, ++at) {
    if (!continues(*at)) return kInvalid;
    code = code << 6 | (*at & 0x3F);
  }
  return code;
}

}  // namespace cmow
