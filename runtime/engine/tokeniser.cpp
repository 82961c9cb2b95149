#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "runtime/engine/fold.h"
#include "runtime/engine/pieces.h"
#include "runtime/engine/preprocess.h"

namespace qama::runtime {
namespace {

/// Bytes of a word. A longer one counts as unknown, whether the vocabulary has it or not.
constexpr std::size_t kLongest = 256;

bool is_space(unsigned char c) noexcept {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_word(unsigned char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '\'' ||
         c >= 0x80;
}

/// What stands around a text of pieces: [CLS] and [SEP].
constexpr std::int32_t kFirstPiece = 2;
constexpr std::int32_t kLastPiece = 3;
constexpr std::size_t kAround = 2;

/// What "penn_words" cuts off the end of a word.
constexpr std::string_view kContractions[] = {"n't", "'s", "'m", "'d", "'re", "'ve", "'ll"};

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// A word as it is read. Of one that is too long for any vocabulary, the beginning and the end.
class Word {
 public:
  void add(char c) noexcept {
    if (size_ == letters_.size()) {
      std::copy(letters_.end() - kTail + 1, letters_.end(), letters_.end() - kTail);
      --size_;
    }
    letters_[size_++] = c;
  }
  void clear() noexcept { size_ = 0; }
  [[nodiscard]] std::string_view text() const noexcept { return {letters_.data(), size_}; }

 private:
  static constexpr std::size_t kTail = 3;  // the longest contraction
  std::array<char, kLongest + 1 + kTail> letters_;
  std::size_t size_ = 0;
};

}  // namespace

struct Tokeniser::Impl {
  std::shared_ptr<const Model> model;  // knows the words
  bool lowercase = true;
  bool contractions = false;  // cut off
  std::size_t max_tokens = 0;
  std::size_t head = 0;  // of max_tokens, those that only the text's beginning may have
  std::optional<PieceSplitter> pieces;  // of a model of pieces; max_tokens are those between
                                        // kFirstPiece and kLastPiece then

  /// Where the token after `before` others goes; max_tokens: it is left out.
  std::size_t place(std::size_t before) const noexcept {
    if (before < max_tokens || head == max_tokens) return std::min(before, max_tokens);
    return head + (before - head) % (max_tokens - head);
  }
  /// Brings the last tokens of a text into their order; count: of all its tokens.
  template <typename Iterator>
  void order(Iterator kept, std::size_t count) const {
    if (count <= max_tokens || head == max_tokens) return;
    const auto at = [&](std::size_t i) { return kept + static_cast<std::ptrdiff_t>(i); };
    std::rotate(at(head), at(place(count)), at(max_tokens));
  }

  bool same(std::string_view part, std::string_view folded) const noexcept {
    return std::equal(part.begin(), part.end(), folded.begin(), folded.end(),
                      [this](char a, char b) { return (lowercase ? lower(a) : a) == b; });
  }

  /// Bytes of the contraction that ends `word`, 0 if none is cut off.
  std::size_t contraction(std::string_view word) const noexcept {
    if (!contractions) return 0;
    for (const std::string_view end : kContractions) {
      if (word.size() > end.size() && same(word.substr(word.size() - end.size()), end))
        return end.size();
    }
    return 0;
  }

  std::int32_t look_up(std::string_view word) const noexcept {
    std::array<char, kLongest> folded;
    if (word.size() > folded.size()) return kUnknownWord;
    if (lowercase) {
      std::transform(word.begin(), word.end(), folded.begin(), lower);
      word = {folded.data(), word.size()};
    }
    // <pad> and <unk> are no words of a text.
    return std::max(model->file().vocabulary().find(word), kUnknownWord);
  }

  /// Gives every token of `text` to sink(id, token).
  template <typename Sink>
  void split(std::string_view text, Sink&& sink) const {
    if (pieces) {
      pieces->split(text, [&sink](const Piece& piece) { sink(piece.id, piece.text); });
    } else {
      split_words(text, [&](std::string_view word) { sink(look_up(word), word); });
    }
  }

  template <typename Sink>
  void split_words(std::string_view text, Sink&& sink) const {
    Word word;
    const auto finish = [&] {
      if (word.text().empty()) return;
      const std::size_t tail = contraction(word.text());
      sink(word.text().substr(0, word.text().size() - tail));
      if (tail > 0) sink(word.text().substr(word.text().size() - tail));
      word.clear();
    };
    FoldedText folded(text);
    for (auto piece = folded.next(); !piece.empty(); piece = folded.next()) {
      for (std::size_t at = 0; at < piece.size(); ++at) {
        const auto c = static_cast<unsigned char>(piece[at]);
        if (is_word(c)) {
          word.add(piece[at]);
        } else {
          finish();
          if (!is_space(c)) sink(piece.substr(at, 1));
        }
      }
    }
    finish();
  }
};

Tokeniser::Tokeniser(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokeniser::~Tokeniser() = default;
Tokeniser::Tokeniser(Tokeniser&&) noexcept = default;
Tokeniser& Tokeniser::operator=(Tokeniser&&) noexcept = default;

Result<Tokeniser> Tokeniser::create(std::shared_ptr<const Model> model) {
  if (!model->architecture().is_text()) {
    return Error{
        ErrorCode::model_wrong_kind,
        "the model classifies " + std::string(model->takes()) + ", expected one for texts"};
  }
  auto impl = std::make_unique<Impl>();
  impl->lowercase = model->preprocess().lowercase;
  impl->contractions = model->preprocess().tokeniser == weights::Tokeniser::penn_words;
  impl->max_tokens = static_cast<std::size_t>(model->architecture().max_tokens);
  impl->head = model->preprocess().truncate == weights::Truncate::ends ? impl->max_tokens / 2
                                                                       : impl->max_tokens;
  impl->model = std::move(model);
  if (impl->model->architecture().pieces != weights::Pieces::words) {
    impl->pieces.emplace(impl->model->file());
    impl->max_tokens -= kAround;
    impl->head = impl->model->preprocess().truncate == weights::Truncate::ends
                     ? impl->max_tokens / 2
                     : impl->max_tokens;
  }
  return Tokeniser(std::move(impl));
}

Result<Encoded> Tokeniser::encode(std::string_view text, std::span<std::int32_t> ids) const {
  const std::size_t around = impl_->pieces ? kAround : 0;
  if (ids.size() != impl_->max_tokens + around) {
    return Error{ErrorCode::invalid_argument, "room for " + std::to_string(ids.size()) +
                                                  " tokens, expected the model's " +
                                                  std::to_string(impl_->max_tokens + around)};
  }
  std::fill(ids.begin(), ids.end(), 0);
  Encoded out;
  if (around > 0) ids = ids.subspan(1, impl_->max_tokens);
  std::size_t count = 0;
  impl_->split(text, [&](std::int32_t id, std::string_view /*word*/) {
    const std::size_t place = impl_->place(count++);
    if (place < ids.size()) ids[place] = id;
  });
  impl_->order(ids.begin(), count);
  out.words = static_cast<std::int64_t>(count);
  out.unknown = static_cast<std::int32_t>(std::count(ids.begin(), ids.end(), kUnknownWord));
  if (around > 0) {
    const std::size_t kept = std::min(count, ids.size());
    ids.data()[-1] = kFirstPiece;
    ids.data()[kept] = kLastPiece;
    out.around = static_cast<std::int32_t>(around);
    out.length = static_cast<std::int32_t>(kept + around);
    return out;
  }
  out.length = static_cast<std::int32_t>(std::clamp<std::size_t>(count, 1, ids.size()));
  if (count == 0) ids[0] = kUnknownWord;
  return out;
}

std::vector<std::string> Tokeniser::words(std::string_view text) const {
  std::vector<std::string> out;
  std::size_t count = 0;
  impl_->split(text, [&](std::int32_t /*id*/, std::string_view word) {
    const std::size_t place = impl_->place(count++);
    if (place == out.size() && place < impl_->max_tokens) {
      out.emplace_back(word);
    } else if (place < out.size()) {
      out[place] = word;
    }
  });
  impl_->order(out.begin(), count);
  if (impl_->pieces) {
    const auto around = impl_->model->file().vocabulary().words().subspan(kFirstPiece, kAround);
    out.emplace(out.begin(), around.front());
    out.emplace_back(around.back());
  }
  if (out.empty()) out.emplace_back();
  return out;
}

}  // namespace qama::runtime
