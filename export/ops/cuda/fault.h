// What a kernel found wrong in its input.
#pragma once

#include <stdint.h>

#include "device.h"

namespace cmow {

enum FaultKind : uint64_t { kNoFault, kBadId, kBadOffset, kBadPair };

/// A fault as one number, so that threads may write it at the same time: the last one stays.
CMOW_DEVICE uint64_t make_fault(FaultKind kind, int64_t position) { return static_cast<uint64_t>(position) << 2 | kind; }

}  // namespace cmow
