// `qama replay`: a receipt of `qama solve`, proven on this machine: the problem is the same, the
// stored answer is worth what the receipt says, and the same search gives the same answer.
#include <algorithm>
#include <optional>

#include "build_info.h"
#include "hal/base/quote.h"
#include "hal/device.h"
#include "hal/lower/decode.h"
#include "hal/platform/file.h"
#include "hal/platform/sha256.h"
#include "hal/text/formats.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/interrupt.h"
#include "runtime/cli/receipt.h"
#include "runtime/cli/solve_record.h"

namespace qama::cli {
namespace {

class Replay final : public Command {
 public:
  CommandText text() const override {
    return {.summary = "Prove a receipt of `qama solve` on this machine.",
            .notes =
                "Three things are proven, and each that fails ends the command with 1:\n"
                "  problem  the file holds the problem that the receipt is of, whatever its "
                "format\n"
                "  answer   the stored spins have the stored hash and value\n"
                "  search   the same seed and schedule give the same spins here\n"
                "A search that a time limit ended, an interrupt, or a target that several "
                "threads looked for, is not repeated: another run ends elsewhere. Of it the "
                "problem and the answer are proven.\n",
            .examples =
                "qama solve G1.mc --receipt G1.receipt\n"
                "qama replay G1.receipt G1.mc\n"};
  }

  void declare(CLI::App& app) override {
    app.add_option("RECEIPT", receipt_path_, "What `qama solve --receipt` wrote.")
        ->required()
        ->type_name("");
    app.add_option("PROBLEM", path_, "The problem, or - for standard input.")
        ->required()
        ->type_name("");
    app.add_option("--device", device_, "Solve on this device.")
        ->type_name("URI")
        ->default_str("the receipt's, with the fastest kernel of cpu:");
    declare_threads(app, threads_);
  }

  Status run(Console& console) override {
    QAMA_ASSIGN_OR_RETURN(const auto bytes, platform::read_file(receipt_path_, kMaxReceiptBytes,
                                                                ErrorCode::report_bad_format));
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    QAMA_ASSIGN_OR_RETURN(const Receipt receipt, parse_receipt(text, receipt_path_));
    QAMA_ASSIGN_OR_RETURN(const hal::ProblemFile file, read_as(receipt));
    QAMA_RETURN_IF_ERROR(prove_answer(file, receipt));
    if (receipt.repeatable) QAMA_RETURN_IF_ERROR(repeat(console, file, receipt));
    report(console, file, receipt);
    return {};
  }

 private:
  /// The receipt's problem, in the receipt's format or another one: a hash is of the numbers.
  Result<hal::ProblemFile> read_as(const Receipt& receipt) const {
    QAMA_ASSIGN_OR_RETURN(const auto bytes, platform::read_file(path_, hal::kMaxProblemBytes,
                                                                ErrorCode::problem_too_large));
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    std::optional<Error> other_problem, no_problem;  // the first of each
    const auto read = [&](const hal::ReadOptions& options) -> std::optional<hal::ProblemFile> {
      Result<hal::ProblemFile> file = hal::parse_problem(text, path_, options);
      if (!file.ok()) {
        if (!no_problem) no_problem = file.error();
        return std::nullopt;
      }
      const std::string sha256 = problem_sha256(*file);
      if (sha256 == receipt.problem_sha256) return std::move(*file);
      if (!other_problem) {
        other_problem =
            Error{ErrorCode::invalid_argument,
                  "problem " + quote(path_) + " has the hash " + sha256 + ", the receipt " +
                      quote(receipt_path_) + " is of " + receipt.problem_sha256};
      }
      return std::nullopt;
    };
    // A format that says itself what is symmetric takes no option for it.
    const auto is_symmetric = [&](const hal::ProblemFormat& format) {
      return format.takes_symmetric && receipt.symmetric;
    };
    const auto formats = hal::problem_formats();
    const auto own = std::find_if(formats.begin(), formats.end(), [&](const auto* format) {
      return format->name == receipt.format;
    });
    if (own == formats.end()) {
      return Error{ErrorCode::report_bad_format, "receipt " + quote(receipt_path_) +
                                                     " is of the format " + quote(receipt.format) +
                                                     ", which is not known"};
    }
    if (auto file = read({receipt.format, receipt.maximise, is_symmetric(**own)}))
      return std::move(*file);
    for (const hal::ProblemFormat* format : formats) {
      if (auto file = read({format->name, receipt.maximise, false})) return std::move(*file);
      if (!format->takes_symmetric) continue;
      if (auto file = read({format->name, receipt.maximise, true})) return std::move(*file);
    }
    return other_problem ? *other_problem : *no_problem;
  }

  Status prove_answer(const hal::ProblemFile& file, const Receipt& receipt) const {
    const hal::ProblemShape shape = file.shape();
    const auto differs = [&](const std::string& what) {
      return Error{ErrorCode::device_bad_answer, "receipt " + quote(receipt_path_) + ": " + what};
    };
    const auto count = static_cast<std::size_t>(shape.spins());
    if (receipt.spins.size() != count ||
        receipt.spins.find_first_not_of("01") != std::string::npos) {
      return differs(std::to_string(receipt.spins.size()) + " spins, expected " +
                     std::to_string(count) + " of 0 and 1");
    }
    std::vector<std::uint64_t> spins(static_cast<std::size_t>(shape.heads) *
                                     static_cast<std::size_t>(hal::words_per_head(shape.tokens)));
    hal::for_each_spin(shape, [&](std::size_t at, std::size_t word, std::uint64_t bit) {
      if (receipt.spins[at] == '1') spins[word] |= bit;
    });
    const std::string hash = platform::sha256_hex(spins_text(shape, spins, true));
    if (hash != receipt.spins_sha256) {
      return differs("its spins have the hash " + hash + ", it says " + receipt.spins_sha256);
    }
    const double value = hal::value_of(file, spins);
    if (value != receipt.value) {
      return differs("its spins have the " + std::string(value_name(file)) + " " +
                     value_text(value) + ", it says " + value_text(receipt.value));
    }
    return {};
  }

  Status repeat(Console& console, const hal::ProblemFile& file, const Receipt& receipt) {
    // Every kernel gives the same spins.
    std::string uri = device_;
    if (uri.empty()) uri = receipt.device.starts_with("cpu:") ? "cpu:" : receipt.device;
    QAMA_ASSIGN_OR_RETURN(const auto device, hal::open_device(uri));
    hal::SolveRequest request = receipt.request;
    if (!request.target) request.threads = threads_;
    console.log("problem " + quote(path_) + " solved again on " + device->info().uri);
    const Interrupt interrupt;
    request.stop = Interrupt::flag();
    QAMA_ASSIGN_OR_RETURN(const hal::BestAnswer answer, hal::solve(file, *device, request));
    if (Interrupt::signal() != 0) {
      console.stopped_by(Interrupt::signal(), "the search was not repeated");
      return {};
    }
    const std::string hash = platform::sha256_hex(spins_text(file.shape(), answer.spins, true));
    if (hash != receipt.spins_sha256) {
      return Error{ErrorCode::device_bad_answer,
                   "device " + quote(device->info().uri) + " answers with the " + value_name(file) +
                       " " + value_text(answer.value) + " and spins of hash " + hash +
                       ", expected " + value_text(receipt.value) + " and " + receipt.spins_sha256};
    }
    repeated_ = true;
    solved_by_ = answer.solved_by;
    return {};
  }

  void report(Console& console, const hal::ProblemFile& file, const Receipt& receipt) const {
    const bool same_revision = receipt.revision == kBuildRevision;
    if (console.json) {
      Json out;
      out["receipt"] = receipt_path_;
      out["file"] = path_;
      out["problem_sha256"] = receipt.problem_sha256;
      out[value_name(file)] = value_json(receipt.value);
      out["spins_sha256"] = receipt.spins_sha256;
      out["problem_proven"] = true;
      out["answer_proven"] = true;
      out["search_repeated"] = repeated_;
      out["repeatable"] = receipt.repeatable;
      out["optimal"] = repeated_ && receipt.optimal;
      out["kernel"] = repeated_ ? Json(solved_by_) : Json();
      out["kernel_of_receipt"] = receipt.kernel;
      out["revision_of_receipt"] = receipt.revision;
      out["same_revision"] = same_revision;
      console.object(out);
      return;
    }
    console.line("problem    the receipt's, SHA-256 " + receipt.problem_sha256);
    console.line("answer     " + std::string(value_name(file)) + " " + value_text(receipt.value) +
                 ", as its spins have, SHA-256 " + receipt.spins_sha256);
    if (repeated_) {
      console.line("search     repeated on " + solved_by_ + ", the same spins" +
                   (receipt.optimal ? ", optimal" : "") + "; the receipt's kernel is " +
                   receipt.kernel);
    } else {
      console.line(std::string("search     not repeated: ") +
                   (receipt.repeatable
                        ? "it was interrupted"
                        : "a time limit, an interrupt or a target of several threads "
                          "ended it, so another run ends elsewhere"));
    }
    if (!same_revision) {
      console.line("revision   " + std::string(kBuildRevision) + ", the receipt is of " +
                   receipt.revision);
    }
  }

  std::string receipt_path_, path_, device_;
  std::int32_t threads_ = 1;
  bool repeated_ = false;
  std::string solved_by_;
};

}  // namespace

std::unique_ptr<Command> make_replay() {
  return std::make_unique<Replay>();
}

}  // namespace qama::cli
