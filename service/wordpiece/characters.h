// What becomes of each character before WordPiece: the table of characters_table.h, and its lookup.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

namespace cmow {

enum class Kind : uint8_t {
  kBeyond,    // not in the table: Hugging Face must tokenise the text
  kRemoved,   // leaves nothing, does not end a word
  kSpace,     // ends a word
  kWord,      // part of a word
  kIsolated,  // a word of its own
};

struct Run {
  char32_t first, last;
  Kind kind;
  const char* replacement;
};

#include "characters_table.h"

struct Character {
  Kind kind = Kind::kBeyond;
  uint8_t size = 0;                   // bytes of the replacement, 0 where the character stays as it is
  uint8_t count = 1;                  // characters of the replacement
  const char* replacement = nullptr;  // UTF-8
};

// A character by its code point, any number.
class Characters {
 public:
  Characters() : run_of_(kRuns[kCount - 1].last + 1, kBeyond), characters_(1) {
    for (const Run& run : kRuns) {
      for (char32_t code = run.first; code <= run.last; ++code) run_of_[code] = static_cast<uint16_t>(characters_.size());
      characters_.push_back(character(run));
    }
  }

  const Character& operator[](char32_t code) const {
    return characters_[code < run_of_.size() ? run_of_[code] : kBeyond];
  }

 private:
  static constexpr size_t kCount = sizeof kRuns / sizeof *kRuns;
  static constexpr uint16_t kBeyond = 0;
  static_assert(kCount < UINT16_MAX);

  static Character character(const Run& run) {
    Character character;
    character.kind = run.kind;
    if (run.replacement == nullptr) return character;
    character.replacement = run.replacement;
    character.size = static_cast<uint8_t>(std::strlen(run.replacement));
    character.count = 0;
    for (const char* byte = run.replacement; *byte != '\0'; ++byte) character.count += (*byte & 0xC0) != 0x80;
    return character;
  }

  std::vector<uint16_t> run_of_;  // by code point, so that a lookup is two loads
  std::vector<Character> characters_;
};

}  // namespace cmow
