#include "hal/csv/csv_device.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/cim/address.h"
#include "hal/cim/matrix_csv.h"
#include "hal/cim/quantise.h"
#include "hal/cim_limits.h"
#include "hal/csv/answer_file.h"
#include "hal/platform/file.h"
#include "hal/platform/output_file.h"
#include "hal/platform/sha256.h"
#include "hal/verify.h"

namespace qama::hal::csv {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kIdDigits = 16;  // of the hash, in file names
constexpr std::size_t kMaxMatrixBytes = std::size_t{1} << 26;
constexpr const char* kAnswerEndings[] = {".answer.json", ".answer.csv", ".answer.txt"};

/// An answer of at least this share of what flips alone make of it is taken as it is.
constexpr double kGoodShare = 0.99;
/// One below this share is no answer to the problem.
constexpr double kPoorShare = 0.5;
/// It belongs to another problem if it is this much nearer to that one's minimum.
constexpr double kMuchNearer = 4;

struct CsvOptions {
  std::string directory;
  std::int32_t ancillas = 0, spins = kCimSpins;
};

Error bad(const std::string& what) {
  return {ErrorCode::invalid_argument, what};
}

/// DEVICE_UNKNOWN: the address and what is wrong with it.
Error bad_address(std::string_view rest, std::string_view what) {
  return make_error(ErrorCode::device_unknown, "device address ", quote(rest), ": ", what);
}

/// An 8-bit Ising matrix, symmetric with a diagonal of 0, and the energies of answers to it.
struct Matrix {
  std::vector<std::int8_t> values;
  std::size_t width = 0;

  /// - s^T M s: each pair twice.
  [[nodiscard]] std::int64_t energy(const std::vector<std::int8_t>& signs) const {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < width; ++i) sum -= signs[i] * pull(signs, i);
    return sum;
  }
  /// What one flip after the other makes of it. Each lowers the energy, as the matrix is symmetric
  /// and its diagonal is 0, so it ends.
  [[nodiscard]] std::int64_t descended(std::vector<std::int8_t> signs) const {
    for (bool any = true; any;) {
      any = false;
      for (std::size_t i = 0; i < width; ++i) {
        if (signs[i] * pull(signs, i) >= 0) continue;
        signs[i] = static_cast<std::int8_t>(-signs[i]);
        any = true;
      }
    }
    return energy(signs);
  }
  /// The share of a local minimum that the answer is; 1 where nothing can be gained.
  [[nodiscard]] double share(const std::vector<std::int8_t>& signs) const {
    const std::int64_t below = descended(signs);
    return below < 0 ? static_cast<double>(energy(signs)) / static_cast<double>(below) : 1;
  }

 private:
  [[nodiscard]] std::int64_t pull(const std::vector<std::int8_t>& signs, std::size_t i) const {
    std::int32_t sum = 0;
    for (std::size_t j = 0; j < width; ++j) sum += values[i * width + j] * signs[j];
    return sum;
  }
};

/// The matrix of a file that this device may have written: of this width, symmetric, with a
/// diagonal of 0. False for any other text.
bool parse_matrix(std::string_view text, std::size_t width, Matrix& out) {
  out.width = width;
  out.values.clear();
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    int value = 0;
    const auto got = std::from_chars(at, end, value);
    if (got.ec != std::errc{} || got.ptr == end || value < -kCimSteps || value > kCimSteps)
      return false;
    if (out.values.size() == width * width) return false;
    out.values.push_back(static_cast<std::int8_t>(value));
    if (*got.ptr != (out.values.size() % width == 0 ? '\n' : ',')) return false;
    at = got.ptr + 1;
  }
  if (out.values.size() != width * width) return false;
  for (std::size_t i = 0; i < width; ++i) {
    if (out.values[i * width + i] != 0) return false;
    for (std::size_t j = 0; j < i; ++j) {
      if (out.values[i * width + j] != out.values[j * width + i]) return false;
    }
  }
  return true;
}

/// INVALID_ARGUMENT, whatever it is: the operator mends it, and no other device takes over.
Result<std::string> read_text(const std::string& path, std::size_t most) {
  const auto bytes = platform::read_file(path, most, ErrorCode::invalid_argument);
  if (!bytes.ok()) return bad(bytes.error().message);
  return std::string(bytes->begin(), bytes->end());
}

/// The same.
Status write_text(const std::string& path, const std::string& text) {
  const Status written = platform::write_file(path, text);
  return written.ok() ? written : bad(written.error().message);
}

bool is_named_by_hash(const fs::path& path, const std::string& text) {
  return path.stem().string() == platform::sha256_hex(text).substr(0, kIdDigits);
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

class CsvSolver final : public Solver {
 public:
  explicit CsvSolver(CsvOptions options) : options_(std::move(options)) {}

  Status prepare(const ProblemShape& shape) {
    cim::QuantiseOptions quantise;
    quantise.max_spins = options_.spins;
    quantise.ancillas = options_.ancillas;
    QAMA_ASSIGN_OR_RETURN(quantiser_, cim::Quantiser::create(shape, quantise));
    QAMA_ASSIGN_OR_RETURN(verifier_, Verifier::create(shape));
    shape_ = shape;
    candidate_.resize(static_cast<std::size_t>(shape.heads * words_per_head(shape.tokens)));
    return {};
  }

  Status submit(std::int32_t slot, const Problem& any, const SolveOptions& /*options*/) override {
    if (slot != 0 || pending_) {
      return make_error(ErrorCode::invalid_argument, "slot ", slot,
                        ", expected 0 and that it is free");
    }
    const auto* dense = std::get_if<DenseView>(&any);
    if (dense == nullptr || dense->shape.heads != shape_.heads) return check_fits(shape_, any);
    QAMA_RETURN_IF_ERROR(quantiser_.run(*dense));
    const cim::QuantisedView& view = quantiser_.view();
    matrix_.width = view.spins();
    matrix_.values.resize(matrix_.width * matrix_.width);
    cim::expand(view, matrix_.values);
    const std::string text = cim::matrix_csv(matrix_.values, matrix_.width);
    hash_ = platform::sha256_hex(text);
    stem_ = (fs::path(options_.directory) / hash_.substr(0, kIdDigits)).string();
    QAMA_RETURN_IF_ERROR(write_once(text));
    problem_ = *dense;
    pending_ = true;
    return {};
  }

  Status wait(std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) override {
    if (slot != 0 || !pending_)
      return make_error(ErrorCode::invalid_argument, "slot ", slot, " has no job to wait for");
    pending_ = false;
    QAMA_ASSIGN_OR_RETURN(const std::string path, answer_path());
    QAMA_ASSIGN_OR_RETURN(const std::string text, read_text(path, kMaxAnswerBytes));
    QAMA_ASSIGN_OR_RETURN(std::vector<AnswerRow> rows, parse_answer(text, path, matrix_.width));
    QAMA_RETURN_IF_ERROR(check_claims(rows, path));
    QAMA_RETURN_IF_ERROR(check_belongs(rows, path));
    return take_best(rows, path, spins, result);
  }

 private:
  /// The matrix and its manifest, if they are not there. A file of this name with other contents
  /// was changed by somebody.
  Status write_once(const std::string& text) const {
    const std::string path = stem_ + ".csv";
    if (exists(path)) {
      QAMA_ASSIGN_OR_RETURN(const std::string there, read_text(path, kMaxMatrixBytes));
      if (there != text) {
        return bad(sentence("problem file ", quote(path),
                            " was changed since it was written (its "
                            "SHA-256 is ",
                            platform::sha256_hex(there), ", expected ", hash_,
                            "), so an answer may be to another problem: remove it and its answer, "
                            "and run again"));
      }
    } else {
      QAMA_RETURN_IF_ERROR(write_text(path, text));
    }
    if (exists(stem_ + ".json")) return {};
    return write_text(stem_ + ".json", manifest());
  }

  [[nodiscard]] std::string manifest() const {
    const cim::QuantisedView& view = quantiser_.view();
    const std::string id = fs::path(stem_).filename().string();
    nlohmann::ordered_json out;
    out["upload"] = id + ".csv";
    out["answer"] = id + ".answer.json or " + id + ".answer.csv";
    out["sha256"] = hash_;
    out["spins"] = matrix_.width;
    out["heads"] = view.shape.heads;
    out["tokens"] = view.shape.tokens;
    out["ancillas"] = view.ancillas;
    out["order"] = sentence(
        "row ", view.shape.tokens, " t + i, from 0, is token i of head t; the last ", view.ancillas,
        view.ancillas == 1 ? " is the ancilla" : " are the ancillas", ", +1 in an answer");
    out["minimise"] = "- s^T M s over s in {-1, +1}; token i of head t is selected where s = +1";
    out["scale"] = quantiser_.scale();
    out["scale_means"] =
        "8-bit steps a unit of 4 E, E the energy of the problem in 16-bit integers";
    return out.dump(2) + "\n";
  }

  /// The one answer to the problem. NOT_FOUND says what to do.
  Result<std::string> answer_path() const {
    std::string found;
    for (const char* ending : kAnswerEndings) {
      const std::string path = stem_ + ending;
      if (!exists(path)) continue;
      if (!found.empty()) {
        return bad(sentence("there are two answers, ", quote(found), " and ", quote(path),
                            ": keep the one that belongs to the problem"));
      }
      found = path;
    }
    if (!found.empty()) return found;
    return make_error(ErrorCode::not_found, "no answer yet: upload ", quote(stem_ + ".csv"), " (",
                      matrix_.width, " spins) to the machine, put its answer at ",
                      quote(stem_ + kAnswerEndings[0]), " (its JSON with solutionVector) or ",
                      quote(stem_ + kAnswerEndings[1]),
                      " (rows of 1 and -1), likewise for every other .csv there without one, and "
                      "run the same command again",
                      strays());
  }

  /// Answers that nobody reads: their problem is not there, as they have a wrong name or are stale,
  /// or it is this one and their ending is another, as what a browser adds (".answer.csv.txt").
  [[nodiscard]] std::string strays() const {
    const std::string own = fs::path(stem_).filename().string();
    std::error_code error;
    std::string out;
    for (const auto& entry : fs::directory_iterator(options_.directory, error)) {
      const std::string name = entry.path().filename().string();
      const std::size_t at = name.find(".answer");
      if (at == std::string::npos) continue;
      if (name.starts_with(own + ".")) {
        out = "; " + quote(name) + " is not read, for its name ends otherwise";
        break;
      }
      if (name.substr(at).starts_with(".answer.") &&
          !exists((fs::path(options_.directory) / (name.substr(0, at) + ".csv")).string()))
        out = "; " + quote(name) + " answers no problem that is there";
    }
    return out;
  }

  /// quboValue, where the machine gives one: - s^T M s, or half of it.
  Status check_claims(const std::vector<AnswerRow>& rows, const std::string& path) const {
    for (std::size_t k = 0; k < rows.size(); ++k) {
      if (!rows[k].value) continue;
      const auto energy = static_cast<double>(matrix_.energy(rows[k].signs));
      const double claim = *rows[k].value;
      if (std::abs(claim - energy) <= 0.5 || std::abs(claim - energy / 2) <= 0.5) continue;
      return bad(sentence("answer file ", quote(path), ": row ", k + 1, " says quboValue ", claim,
                          ", its spins have ", energy, " in ", quote(stem_ + ".csv"),
                          ": it is damaged, or it answers another problem; without quboValue in "
                          "the file only the spins count"));
    }
    return {};
  }

  /// Whether the best row is an answer to this problem at all, or to another one beside it.
  Status check_belongs(const std::vector<AnswerRow>& rows, const std::string& path) const {
    const auto best = std::min_element(rows.begin(), rows.end(), [&](const auto& a, const auto& b) {
      return matrix_.energy(a.signs) < matrix_.energy(b.signs);
    });
    const double share = matrix_.share(best->signs);
    if (share >= kGoodShare) return {};
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(options_.directory, error)) {
      const std::string other = entry.path().string();
      if (entry.path().extension() != ".csv" || other == stem_ + ".csv" ||
          other.find(".answer.") != std::string::npos)
        continue;
      const auto text = read_text(other, kMaxMatrixBytes);
      Matrix matrix;
      // Only what a device of this kind wrote: its name is its hash.
      if (!text.ok() || !is_named_by_hash(entry.path(), text.value()) ||
          !parse_matrix(text.value(), matrix_.width, matrix))
        continue;
      if ((1 - matrix.share(best->signs)) * kMuchNearer < 1 - share) {
        return bad(sentence("answer file ", quote(path), " fits ", quote(other), ", not ",
                            quote(stem_ + ".csv"), ": two answers are swapped"));
      }
    }
    if (share >= kPoorShare) return {};
    return bad(sentence("answer file ", quote(path), ": its best energy is ",
                        matrix_.energy(best->signs), ", flips alone lead to ",
                        matrix_.descended(best->signs), ": it is no answer to this problem"));
  }

  Status take_best(const std::vector<AnswerRow>& rows, const std::string& path,
                   std::span<std::uint64_t> spins, SolveResult& result) {
    const cim::QuantisedView& view = quantiser_.view();
    const std::size_t first_ancilla = view.fields.size();
    const auto words =
        static_cast<std::size_t>(view.shape.heads * words_per_head(view.shape.tokens));
    if (spins.size() < words) return bad("no room for the spins");
    result = SolveResult{};
    bool found = false;
    for (const AnswerRow& row : rows) {
      packed_.assign((matrix_.width + 7) / 8, 0);
      for (std::size_t i = 0; i < matrix_.width; ++i) {
        if (row.signs[i] == row.signs[first_ancilla])
          packed_[i / 8] |= static_cast<std::uint8_t>(1U << (i % 8));
      }
      std::int64_t energy = 0;
      Status checked = cim::unpack_spins(view, packed_, candidate_);
      if (checked.ok()) checked = verifier_.check_and_price(problem_, candidate_, energy);
      if (!checked.ok() || (found && energy >= result.energy)) continue;
      found = true;
      result.energy = energy;
      std::copy_n(candidate_.begin(), words, spins.begin());
    }
    if (!found) {
      return bad(sentence("answer file ", quote(path), ": in no row do all ", view.ancillas,
                          " ancillas, the last spins, agree"));
    }
    result.restarts = static_cast<std::int32_t>(std::min(rows.size(), std::size_t{1} << 20));
    result.solved_by = "csv";
    return {};
  }

  const CsvOptions options_;
  ProblemShape shape_;
  cim::Quantiser quantiser_;
  Verifier verifier_;
  Matrix matrix_;
  std::string hash_, stem_;
  DenseView problem_;
  std::vector<std::uint8_t> packed_;
  std::vector<std::uint64_t> candidate_;
  bool pending_ = false;
};

class CsvDevice final : public Device {
 public:
  explicit CsvDevice(CsvOptions options, std::string uri) : options_(std::move(options)) {
    info_.uri = std::move(uri);
    info_.name = "an Ising machine by hand";
    info_.detail = "matrices are written into " + quote(options_.directory) +
                   ", and somebody uploads them and brings the answers";
    info_.max_spins = options_.spins;
    info_.coupling_bits = 8;
    info_.encodings = {"csv"};
    info_.deterministic = false;
  }
  const DeviceInfo& info() const noexcept override { return info_; }
  Result<DeviceHealth> probe() override { return DeviceHealth{}; }
  Status supports(const Workload& workload) const override {
    QAMA_RETURN_IF_ERROR(check_workload(info_, workload));
    const ProblemShape& shape = workload.shape;
    if (shape.spins() + std::max(options_.ancillas, 1) <= options_.spins) return {};
    return make_error(ErrorCode::problem_too_large, "a layer of ", shape.spins(),
                      " spins, the machine has ", options_.spins, " with the ancillas");
  }
  Result<std::unique_ptr<Solver>> compile(const Workload& workload) override {
    QAMA_RETURN_IF_ERROR(supports(workload));
    auto solver = std::make_unique<CsvSolver>(options_);
    QAMA_RETURN_IF_ERROR(solver->prepare(workload.shape));
    return std::unique_ptr<Solver>(std::move(solver));
  }

 private:
  const CsvOptions options_;
  DeviceInfo info_;
};

}  // namespace

Result<std::shared_ptr<Device>> open_csv_device(std::string_view rest) {
  CsvOptions options;
  const std::size_t question = std::min(rest.find('?'), rest.size());
  options.directory = rest.substr(0, question);
  if (options.directory.empty()) return bad_address(rest, "expected csv:DIR");
  const std::string_view query = rest.substr(std::min(question + 1, rest.size()));
  if (const auto twice = cim::repeated_option(query))
    return bad_address(rest, sentence("option ", quote(*twice), " is given twice"));
  const auto refused = cim::refused_option(query, [&](auto key, auto value) {
    if (key == "ancillas") return cim::number_in(value, 0, cim::kMaxAncillas, options.ancillas);
    return key == "spins" && cim::number_in(value, 2, cim::kMaxMachineSpins, options.spins);
  });
  if (refused) {
    return bad_address(rest, sentence("option ", quote(*refused),
                                      " is unknown or out of range, expected ancillas=K or "
                                      "spins=N"));
  }
  std::error_code error;
  fs::create_directories(options.directory, error);
  if (error) {
    return make_error(ErrorCode::io_error, "directory ", quote(options.directory),
                      " cannot be made: ", error.message());
  }
  return std::shared_ptr<Device>(
      std::make_shared<CsvDevice>(std::move(options), sentence("csv:", rest)));
}

}  // namespace qama::hal::csv
