// Where a sentence of a packed batch lies, found and checked on the device.
#pragma once

#include <stdint.h>

#include "device.h"

namespace cmow {

struct Sentence {
  int64_t start, length;
  bool valid;
};

/// Sentence `s` of `sentences` among `tokens`; where its offsets do not fit, it is not valid, and has no length.
CMOW_DEVICE Sentence sentence_at(const int64_t* cu_seqlens, int64_t tokens, int64_t sentences, int64_t s) {
  const int64_t start = cu_seqlens[s], end = cu_seqlens[s + 1];
  const bool starts = s == 0 ? start == 0 : start >= 0;
  const bool ends = s == sentences - 1 ? end == tokens : end <= tokens;
  const bool valid = starts && ends && start <= end;
  return {start, valid ? end - start : 0, valid};
}

}  // namespace cmow
