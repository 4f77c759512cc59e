// float16 without an instruction for it.
//
// Internal linkage on purpose, as in hybrid_product.h.
#pragma once

#include <stdint.h>
#include <string.h>

namespace cmow {
namespace {

/// float16 bits to float32, exactly, infinity and NaN included. Masks take the place of branches, so that loops vectorise.
inline float half_to_float(uint16_t half) {
  constexpr uint32_t kRebias = (127u - 15u) << 23;
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16, magnitude = half & 0x7fffu;
  const uint32_t is_subnormal = 0u - static_cast<uint32_t>(magnitude < 0x0400u);
  const uint32_t is_special = 0u - static_cast<uint32_t>(magnitude >= 0x7c00u);
  const float small = static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f;
  uint32_t subnormal;
  memcpy(&subnormal, &small, sizeof subnormal);
  const uint32_t normal = (magnitude << 13) + kRebias + (is_special & kRebias);
  const uint32_t bits = sign | (subnormal & is_subnormal) | (normal & ~is_subnormal);
  float result;
  memcpy(&result, &bits, sizeof result);
  return result;
}

}  // namespace
}  // namespace cmow
