// Fuzz target: a text that is folded and made into tokens, and the same bytes as a table and as
// lines.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/engine/fold.h"
#include "runtime/engine/preprocess.h"
#include "runtime/io/line_reader.h"
#include "runtime/io/table_reader.h"
#include "tests/fuzz/fuzz_files.h"
#include "weights/model_writer.h"

namespace {

using namespace qama;

constexpr std::int32_t kMaxTokens = 12;

/// A tokeniser of a small model, which stays for all inputs.
runtime::Tokeniser make_tokeniser(weights::Tokeniser kind) {
  weights::Architecture a;
  a.kind = weights::ModelKind::text_transformer;
  a.max_tokens = kMaxTokens;
  a.vocabulary = 90;
  a.embedding = a.dim = a.dim_head = a.mlp = 4;
  a.depth = a.heads = 1;
  a.classes = 2;
  a.attention.kind = weights::AttentionKind::softmax;
  weights::Preprocess preprocess;
  preprocess.kind = a.kind;
  preprocess.tokeniser = kind;
  auto writer = weights::random_model(a, 1);
  writer.value().set_metadata("preprocess", preprocess.to_json());
  const auto bytes = writer->serialise();
  static std::vector<std::vector<std::byte>> kept;
  kept.push_back(bytes.value());
  return runtime::Tokeniser::create(runtime::Model::from_memory(kept.back()).value()).value();
}

/// One of a model of pieces, with accents and capitals in its table.
runtime::Tokeniser make_splitter(weights::Pieces pieces) {
  weights::Architecture a;
  a.kind = weights::ModelKind::text_transformer;
  a.max_tokens = kMaxTokens;
  a.vocabulary = 90;
  a.embedding = a.dim = a.dim_head = a.mlp = 4;
  a.depth = a.heads = 1;
  a.classes = 2;
  a.attention.kind = weights::AttentionKind::softmax;
  a.pieces = pieces;
  weights::Preprocess preprocess;
  preprocess.kind = a.kind;
  preprocess.tokeniser = pieces == weights::Pieces::wordpiece ? weights::Tokeniser::wordpiece
                                                              : weights::Tokeniser::unigram;
  std::string words = "<pad>\n<unk>\n[CLS]\n[SEP]\n\u2581\nthe\nfilm\n##ss\n\u2581the\ns";
  for (std::int32_t id = 10; id < a.vocabulary; ++id) {
    const char letter = static_cast<char>('a' + id % 26);
    words += id < 36 ? std::string("\n##") + letter : "\n" + std::to_string(id) + letter;
  }
  const std::string table = "''\t\"\n,\t , \nA\ta\nT\tt\n\u00e9\te\n\u200b\t\n";
  auto writer = weights::model_writer(a, preprocess, {"0", "1"}, "fuzz");
  for (const auto& spec : weights::expected_tensors(a)) {
    std::size_t count = 1;
    for (const auto size : spec.shape) count *= static_cast<std::size_t>(size);
    const std::string& text = spec.name == "vocabulary" ? words : table;
    const Status added =
        spec.dtype == weights::Dtype::u8
            ? writer->add(spec.name, spec.dtype, {static_cast<std::int64_t>(text.size())},
                          std::as_bytes(std::span(text)))
            : writer->add_f32(spec.name, spec.shape, std::vector<float>(count, -1.5F));
    if (!added.ok()) std::abort();
  }
  const auto bytes = writer->serialise();
  static std::vector<std::vector<std::byte>> kept;
  kept.push_back(bytes.value());
  return runtime::Tokeniser::create(runtime::Model::from_memory(kept.back()).value()).value();
}

void tokenise(const runtime::Tokeniser& tokeniser, std::string_view text) {
  std::array<std::int32_t, kMaxTokens> ids{}, again{};
  const auto encoded = tokeniser.encode(text, ids);
  if (!encoded.ok()) std::abort();
  if (encoded->length < 1 || encoded->length > kMaxTokens || encoded->unknown > encoded->length)
    std::abort();
  for (std::int32_t i = 0; i < kMaxTokens; ++i) {
    const std::int32_t id = ids[static_cast<std::size_t>(i)];
    if (id < 0 || id >= 90 || (i >= encoded->length && id != 0)) std::abort();
  }
  if (tokeniser.words(text).size() != static_cast<std::size_t>(encoded->length)) std::abort();
  if (!tokeniser.encode(text, again).ok() || ids != again) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  runtime::FoldedText folded(text);
  std::size_t bytes = 0;
  for (auto piece = folded.next(); !piece.empty(); piece = folded.next()) bytes += piece.size();
  if (bytes > 2 * size) std::abort();  // a symbol gets two spaces, everything else shrinks

  static const auto words = make_tokeniser(weights::Tokeniser::words);
  static const auto penn_words = make_tokeniser(weights::Tokeniser::penn_words);
  tokenise(words, text);
  tokenise(penn_words, text);
  static const auto wordpiece = make_splitter(weights::Pieces::wordpiece);
  static const auto unigram = make_splitter(weights::Pieces::unigram);
  tokenise(wordpiece, text);
  tokenise(unigram, text);

  const fuzz::MemoryFile file({data, size});
  if (auto table = io::TableReader::open(file.path()); table.ok()) {
    std::vector<std::string> row;
    for (auto more = table->next(row); more.ok() && *more; more = table->next(row)) {
      if (row.size() != table->columns().size()) std::abort();
    }
    if (!table->rewind().ok()) std::abort();
  }
  if (auto stream = io::ByteStream::open(file.path()); stream.ok()) {
    io::LineReader lines(std::move(*stream));
    std::string line;
    for (auto more = lines.next(line); more.ok() && *more; more = lines.next(line)) {
      if (line.find('\n') != std::string::npos) std::abort();
    }
  }
  return 0;
}
