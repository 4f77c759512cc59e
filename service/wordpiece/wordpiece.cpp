#include "wordpiece.h"

#include <algorithm>

namespace cmow {
namespace {

constexpr int64_t kMaxWordChars = 100;  // a longer word is unknown
constexpr int64_t kMaxWordBytes = 4 * kMaxWordChars;

}  // namespace

/// The word being read, normalised; of one that is too long the beginning.
struct WordPiece::Word {
  Byte bytes[kMaxWordBytes];
  int64_t size = 0;
  int64_t chars = 0;

  bool too_long() const { return chars > kMaxWordChars; }

  void add(const void* replacement, int64_t length, int64_t count) {
    chars = std::min(chars + count, kMaxWordChars + 1);
    if (too_long()) return;
    std::memcpy(bytes + size, replacement, length);
    size += length;
  }
};

/// The ids so far: all are counted and the first `limit` of them kept.
struct WordPiece::Tokens {
  int64_t* ids;
  int64_t limit;
  int64_t count = 0;

  void add(int64_t id) {
    if (count < limit) ids[count] = id;
    ++count;
  }
};

WordPiece::WordPiece(const Strings& words, const Strings& continuations, const Strings& literals, int64_t unknown)
    : words_(words), continuations_(continuations), unknown_(unknown) {
  const Byte* bytes = literals.utf8;
  for (int64_t i = 0; i < literals.count; bytes += literals.sizes[i++]) {
    literals_.emplace_back(bytes, bytes + literals.sizes[i]);
    begins_literal_[*bytes] = true;
  }
  for (Byte byte = 0; byte < 0x80; ++byte) {
    const Character& character = characters_[byte];
    if (character.kind != Kind::kWord || begins_literal_[byte]) continue;
    folded_[byte] = character.size == 0 ? byte : static_cast<Byte>(*character.replacement);
  }
}

Outcome WordPiece::tokenise(const Byte* at, const Byte* end, int64_t* ids, int64_t limit) const {
  Tokens tokens{ids, limit};
  Word word;
  while (at < end && tokens.count <= limit) {
    if (const Byte folded = folded_[*at]) {
      word.add(&folded, 1, 1);
      ++at;
      continue;
    }
    if (begins_literal_[*at] && literal_at(at, end)) return {0, false, true};
    const Byte* const begin = at;
    const Character& character = characters_[decode(at, end)];
    if (character.kind == Kind::kBeyond) return {0, false, true};
    if (character.kind == Kind::kRemoved) continue;
    if (character.kind != Kind::kWord) finish(word, tokens);
    if (character.kind == Kind::kSpace) continue;
    if (character.size != 0)
      word.add(character.replacement, character.size, character.count);
    else
      word.add(begin, at - begin, 1);
    if (character.kind == Kind::kIsolated) finish(word, tokens);
  }
  if (tokens.count <= limit) finish(word, tokens);
  return {std::min(tokens.count, limit), tokens.count > limit, false};
}

bool WordPiece::literal_at(const Byte* at, const Byte* end) const {
  return std::any_of(literals_.begin(), literals_.end(), [&](const std::string& literal) {
    return literal.size() <= static_cast<size_t>(end - at) && std::memcmp(at, literal.data(), literal.size()) == 0;
  });
}

/// Ends the word, if there is one, with its tokens.
void WordPiece::finish(Word& word, Tokens& tokens) const {
  if (word.too_long())
    tokens.add(unknown_);
  else if (word.size != 0)
    split(word.bytes, word.size, tokens);
  word.size = word.chars = 0;
}

/// Longest match first; a word that does not end with a match is unknown as a whole.
void WordPiece::split(const Byte* word, int64_t size, Tokens& tokens) const {
  const int64_t before = tokens.count;
  const Pieces* pieces = &words_;
  uint64_t hashes[kMaxWordBytes + 1] = {kHashSeed};
  while (size > 0) {
    int64_t length = std::min(size, pieces->longest());
    for (int64_t i = 0; i < length; ++i) hashes[i + 1] = hash_step(hashes[i], word[i]);
    int64_t id = Pieces::kNone;
    while (length > 0 && (id = pieces->find(hashes[length], word, length)) == Pieces::kNone) --length;
    if (length == 0) {
      tokens.count = before;
      return tokens.add(unknown_);
    }
    tokens.add(id);
    word += length;
    size -= length;
    pieces = &continuations_;
  }
}

}  // namespace cmow
