// The C ABI that native.py calls: batches and threads. Letters: B texts.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

#include "wordpiece.h"

#define CMOW_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using namespace cmow;

enum Failure : int64_t { kWrongLengths = -1, kFailed = -2 };

constexpr int64_t kThreadBytes = 64 * 1024;  // a thread that gets less takes longer to start than it saves

struct Texts {
  const Byte* utf8;
  int64_t bytes;
  int64_t count;       // B
  int64_t max_tokens;  // of each text, 0 or more
};

struct Result {
  int64_t* cu_seqlens;  // [B + 1]; on entry b + 1 holds the number of characters of text b
  bool* truncated;      // [B]
  bool* beyond;         // [B]
  int64_t* token_ids;   // [min(bytes, B max_tokens)]
};

/// Consecutive texts; their ids begin where they would if all texts before had as many tokens as they can have.
struct Part {
  int64_t begin, end;
  int64_t* token_ids;
  int64_t tokens;
};

/// Where each text begins in `utf8`, and where the last one ends [B + 1]; empty unless these are exactly the texts.
std::vector<int64_t> text_offsets(const Texts& texts, const int64_t* characters) {
  std::vector<int64_t> offsets(texts.count + 1);
  int64_t total = 0;
  for (int64_t b = 0; b < texts.count; ++b) {
    if (characters[b] < 0 || characters[b] > texts.bytes - total) return {};
    total += characters[b];
    offsets[b + 1] = total;
  }
  if (total == texts.bytes) return offsets;  // ASCII: a byte is a character
  int64_t at = 0;
  for (int64_t b = 0; b < texts.count; ++b) {
    for (int64_t left = characters[b]; left > 0; --left) {
      if (at == texts.bytes) return {};
      ++at;
      while (at < texts.bytes && continues(texts.utf8[at])) ++at;
    }
    offsets[b + 1] = at;
  }
  if (at != texts.bytes) return {};
  return offsets;
}

/// The texts in parts of about equal size, at most one for each thread.
std::vector<Part> divide(const Texts& texts, const std::vector<int64_t>& offsets, int64_t* token_ids, int64_t threads) {
  const int64_t count = std::clamp<int64_t>(texts.bytes / kThreadBytes, 1, std::max<int64_t>(threads, 1));
  std::vector<Part> parts;
  int64_t b = 0;
  for (int64_t i = 1; i <= count; ++i) {
    const int64_t begin = b;
    int64_t* const first = token_ids;
    const bool last = i == count;
    const int64_t end_byte = texts.bytes / count * i;
    while (b < texts.count && (last || offsets[b] < end_byte)) {
      token_ids += std::min(offsets[b + 1] - offsets[b], texts.max_tokens);  // no text has more tokens than bytes
      ++b;
    }
    parts.push_back({begin, b, first, 0});
  }
  return parts;
}

void tokenise(const WordPiece& wordpiece, const Texts& texts, const std::vector<int64_t>& offsets, Part& part,
              const Result& result) noexcept {
  for (int64_t b = part.begin; b < part.end; ++b) {
    const int64_t limit = std::min(offsets[b + 1] - offsets[b], texts.max_tokens);
    const Outcome outcome =
        wordpiece.tokenise(texts.utf8 + offsets[b], texts.utf8 + offsets[b + 1], part.token_ids + part.tokens, limit);
    part.tokens += outcome.tokens;
    result.cu_seqlens[b + 1] = outcome.tokens;
    result.truncated[b] = outcome.truncated;
    result.beyond[b] = outcome.beyond;
  }
}

/// The ids of all parts without gaps, and the texts' lengths as offsets.
void join(const std::vector<Part>& parts, const Texts& texts, const Result& result) {
  int64_t* end = result.token_ids;
  for (const Part& part : parts) {
    if (end != part.token_ids) std::memmove(end, part.token_ids, part.tokens * sizeof *end);
    end += part.tokens;
  }
  result.cu_seqlens[0] = 0;
  for (int64_t b = 0; b < texts.count; ++b) result.cu_seqlens[b + 1] += result.cu_seqlens[b];
}

int64_t encode(const WordPiece& wordpiece, const Texts& texts, int64_t threads, const Result& result) {
  const std::vector<int64_t> offsets = text_offsets(texts, result.cu_seqlens + 1);
  if (offsets.empty()) return kWrongLengths;
  std::vector<Part> parts = divide(texts, offsets, result.token_ids, threads);
  const auto run = [&](Part& part) { tokenise(wordpiece, texts, offsets, part, result); };
  std::vector<std::thread> helpers;
  helpers.reserve(parts.size());
  for (size_t i = 1; i < parts.size(); ++i) {
    try {
      helpers.emplace_back(run, std::ref(parts[i]));
    } catch (const std::system_error&) {
      run(parts[i]);  // fewer threads than wanted are slower, not wrong
    }
  }
  run(parts[0]);
  for (std::thread& helper : helpers) helper.join();
  join(parts, texts, result);
  return std::count(result.beyond, result.beyond + texts.count, true);
}

}  // namespace

/// The version of Hugging Face `tokenizers` whose ids these are.
CMOW_EXPORT const char* cmow_wordpiece_authority() { return kAuthority; }

/// A tokeniser for `cmow_wordpiece_encode`, or null where there is no memory for it.
CMOW_EXPORT WordPiece* cmow_wordpiece_create(const Strings* words, const Strings* continuations, const Strings* literals,
                                             int64_t unknown) {
  try {
    return new WordPiece(*words, *continuations, *literals, unknown);
  } catch (...) {
    return nullptr;
  }
}

CMOW_EXPORT void cmow_wordpiece_destroy(WordPiece* wordpiece) { delete wordpiece; }

/// Tokenises on at most `threads` threads; the result does not depend on their number. Returns the number of texts that are
/// beyond this tokeniser, or a `Failure`.
CMOW_EXPORT int64_t cmow_wordpiece_encode(const WordPiece* wordpiece, const Byte* utf8, int64_t bytes, int64_t count,
                                          int64_t max_tokens, int64_t threads, int64_t* cu_seqlens, bool* truncated,
                                          bool* beyond, int64_t* token_ids) {
  try {
    return encode(*wordpiece, {utf8, bytes, count, max_tokens}, threads, {cu_seqlens, truncated, beyond, token_ids});
  } catch (...) {
    return kFailed;
  }
}
