// Fuzz target: reports of shards, which `qama merge` reads, receipts, which `qama replay` reads,
// reports of `qama bench` and lists of releases. One that is accepted is written as it was read;
// reports are merged or refused by a name.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/cli/bench/report.h"
#include "runtime/cli/eval_report.h"
#include "runtime/cli/receipt.h"
#include "runtime/cli/release/list.h"
#include "tests/fuzz/fuzz_files.h"

namespace {

using qama::ErrorCode;
using qama::cli::EvalReport;

void check(const qama::Error& error, std::initializer_list<ErrorCode> expected) {
  for (const ErrorCode code : expected) {
    if (error.code == code && error.message.find('\n') == std::string::npos) return;
  }
  std::abort();
}

/// What `read` accepts comes back from what `write` makes of it.
template <typename Read, typename Write>
void round_trip(std::string_view text, const Read& read, const Write& write) {
  const auto first = read(text, "fuzz");
  if (!first.ok()) return check(first.error(), {ErrorCode::report_bad_format});
  const std::string written = write(*first);
  const auto again = read(written, "again");
  if (!again.ok() || write(*again) != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::pair<std::string, EvalReport>> shards;
  for (const auto part : qama::fuzz::parts_of({data, size}, 4)) {
    const std::string given = qama::fuzz::text_of(part);
    round_trip(given, qama::cli::parse_receipt,
               [](const auto& receipt) { return qama::cli::to_json(receipt).dump(); });
    round_trip(given, qama::cli::parse_bench_report,
               [](const auto& report) { return report.json().dump(); });
    round_trip(given, qama::cli::parse_release_list, [](const auto& list) { return list.text(); });
    auto report = qama::cli::parse_eval_report(given, "fuzz");
    if (!report.ok()) {
      check(report.error(), {ErrorCode::report_bad_format});
      continue;
    }
    const std::string text = report->json().dump();
    const auto again = qama::cli::parse_eval_report(text, "again");
    if (!again.ok() || again->json().dump() != text) std::abort();
    shards.emplace_back(std::to_string(shards.size()), std::move(*report));
  }
  if (shards.empty()) return 0;
  const auto merged = qama::cli::merge(shards);
  if (!merged.ok()) {
    check(merged.error(),
          {ErrorCode::shard_foreign, ErrorCode::shard_twice, ErrorCode::shard_missing});
    return 0;
  }
  if (!qama::cli::parse_eval_report(merged->json().dump(), "merged").ok()) std::abort();
  return 0;
}
