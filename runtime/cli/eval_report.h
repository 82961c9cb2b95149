// What `qama eval` found: of a run or of a shard of it. Its JSON is what `qama merge` reads, and
// the report of all shards together is the report of the whole run.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hal/base/result.h"
#include "hal/schedule.h"
#include "runtime/api/answer.h"
#include "runtime/cli/console.h"

namespace qama::cli {

/// A report's file is not larger.
inline constexpr std::size_t kMaxReportBytes = std::size_t{256} << 20;

/// Samples index, index + count, ... of a set.
struct Shard {
  std::int64_t index = 0;  ///< 0 .. count - 1
  std::int64_t count = 1;
  /// How many of a set of `samples` these are.
  [[nodiscard]] std::int64_t share_of(std::int64_t samples) const noexcept {
    return index < samples ? (samples - index - 1) / count + 1 : 0;
  }
};

/// Every sum is one of integers, so that the order in which samples and shards come does not
/// matter.
struct EvalReport {
  static constexpr std::int32_t kUnread = -1;

  // What was run. All shards of a run agree on it.
  std::string version;       ///< of the program
  std::string model_sha256;  ///< weights::ModelFile::sha256
  std::string dataset, split;
  std::string data_sha256;           ///< of one's own data: io::DatasetInfo::sha256
  std::vector<std::string> classes;  ///< the model's labels
  std::string fit, invert;           ///< PictureArguments
  std::uint64_t seed = 0;
  std::vector<hal::Schedule> schedules;  ///< one a QAMA layer
  std::int64_t samples = 0;              ///< of all shards

  // By what.
  std::string model;   ///< path
  std::string device;  ///< URI; "" for a model without QAMA layers
  std::int32_t threads = 1;
  Shard shard;
  bool mergeable = false;  ///< the JSON holds what merge() needs
  bool own = false;        ///< samples of one's own, of which some may be unreadable
  bool stopped = false;    ///< by a signal, before all samples were done

  // What came out.
  std::vector<std::int32_t> answers;  ///< of each sample done, in the set's order: class or kUnread
  std::vector<std::vector<std::int64_t>> confusion;  ///< [label][answer]
  std::map<std::int64_t, std::int64_t> latency;      ///< tenths of a microsecond -> samples
  std::int64_t label_probability = 0;                ///< sum over the samples, in units of 2^-32
  double seconds = 0;                                ///< inside the session
  runtime::SolveCounter solvers;

  /// One sample: its class, the answer, the label's probability and the wall time.
  void add(std::int32_t label, std::int32_t answer, double probability, double latency_us);
  [[nodiscard]] std::int64_t count() const;  ///< samples that were answered
  [[nodiscard]] Json json() const;
  void print(Console& console) const;
};

/// A report of `eval --shard I/N --json`. `name` says where it comes from. REPORT_BAD_FORMAT: it is
/// something else, or its figures do not belong together.
[[nodiscard]] Result<EvalReport> parse_eval_report(std::string_view text, std::string_view name);

/// All shards of a run, each with the name of its file, in any order. SHARD_FOREIGN: one is of
/// another run; SHARD_TWICE; SHARD_MISSING: one is not there, or was stopped early. Shards without
/// a sample may be missing. Precondition: there is one.
[[nodiscard]] Result<EvalReport> merge(std::span<const std::pair<std::string, EvalReport>> shards);

}  // namespace qama::cli
