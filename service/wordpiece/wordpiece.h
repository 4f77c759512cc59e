// WordPiece as bert-base-uncased has it, for one text.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "characters.h"
#include "pieces.h"
#include "utf8.h"

namespace cmow {

/// What became of a text.
struct Outcome {
  int64_t tokens = 0;      // written
  bool truncated = false;  // there are more
  bool beyond = false;     // not proved to be handled; nothing is written
};

class WordPiece {
 public:
  /// `words` begin a word and `continuations`, without their prefix, go on with it; a text with one of the `literals`
  /// in it is beyond this tokeniser.
  WordPiece(const Strings& words, const Strings& continuations, const Strings& literals, int64_t unknown);

  /// Tokenises the text from `at` to `end`, any bytes, to at most `limit` ids.
  Outcome tokenise(const Byte* at, const Byte* end, int64_t* ids, int64_t limit) const;

 private:
  struct Word;
  struct Tokens;

  bool literal_at(const Byte* at, const Byte* end) const;
  void split(const Byte* word, int64_t size, Tokens& tokens) const;
  void finish(Word& word, Tokens& tokens) const;

  Characters characters_;
  Pieces words_, continuations_;
  std::vector<std::string> literals_;
  int64_t unknown_;
  // The byte that stands in a word for this one, or 0 where it is not as simple as that.
  std::array<Byte, 256> folded_{};
  std::array<bool, 256> begins_literal_{};
};

}  // namespace cmow
