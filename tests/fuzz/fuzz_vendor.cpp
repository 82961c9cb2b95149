// Fuzz target: the answers of the vendor's terminal, one after the other, through a whole job:
// login, machine, upload, task, poll, fetch, delete. An input that begins with the part "cloud" has
// those of the vendor's cloud: login, submit, polls. A libcurl of its own stands where the real one
// would be loaded (curl_library.h). The input's parts are the answers, in their order; an empty
// part, and what is missing, is the answer that a good terminal gives. A part that begins with
//   !  is a transfer that fails, with the number of its error in the next byte
//   *  has a number n in the next byte, and in place of its next *, 16 n^2 arrays in each other:
//   deep
//      and long answers
// A job that succeeds has a right energy.
#include <curl/curl.h>

#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "hal/cim/curl_library.h"
#include "hal/device.h"
#include "hal/problem.h"
#include "tests/fuzz/fuzz_files.h"
#include "tests/hal/cpu/hal_test_support.h"

namespace {

using Collect = std::size_t (*)(char*, std::size_t, std::size_t, void*);
using Part = std::span<const std::uint8_t>;

constexpr std::int32_t kHeads = 2, kTokens = 3;
constexpr std::size_t kMostAnswers = 16;

/// Terminal or cloud, and the one connection to it.
struct Service {
  std::vector<Part> answers;
  std::size_t next = 0;
  Collect collect = nullptr;
  void* to = nullptr;
  std::string path, method;
  bool cloud = false;
} terminal;

std::string good_answer() {
  const auto is = [](std::string_view what) {
    return terminal.path.find(what) != std::string::npos;
  };
  const auto with = [](const std::string& data) {
    return R"({"code":"0","msg":"ok","data":)" + data + "}";
  };
  if (is("/sso/access_token/")) return with(R"({"token":"abc","is_emulated":true})");
  if (terminal.cloud && terminal.path.ends_with("/task/")) return with(R"({"task_id":7})");
  if (is("/login/")) return with(R"({"token":{"access":"abc"},"user_id":1})");
  if (is("/machine/")) return with(R"({"status":1,"is_emulated":true})");
  if (is("/upload_file/") || is("/batch-task/")) return with(R"({"id":7})");
  if (is("/machine-task/")) return with(R"({"id":7,"status":5})");
  std::string row = "[";
  for (int i = 0; i < kHeads * kTokens; ++i) row += "1,";
  if (terminal.cloud) {
    // The energy of a matrix without couplings: that of run().
    return with(R"({"task_status":2,"qubo_value":[0],"qubo_solution_data":[)" + row + "1]]}");
  }
  return with(R"({"out_data":[)" + row + "1]]}");
}

std::string answer_of(Part part) {
  if (part.empty()) return good_answer();
  if (part[0] != '*' || part.size() < 2) return qama::fuzz::text_of(part);
  std::string text = qama::fuzz::text_of(part.subspan(2));
  const std::size_t depth = std::size_t{16} * part[1] * part[1];
  const std::size_t star = std::min(text.find('*'), text.size());
  return text.substr(0, star) + std::string(depth, '[') + std::string(depth, ']') +
         text.substr(std::min(star + 1, text.size()));
}

// An enumeration is what libcurl's own functions have there, too.
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wvarargs"
#endif

CURLcode set_option(CURL*, CURLoption option, ...) {
  std::va_list values;
  va_start(values, option);
  if (option == CURLOPT_WRITEFUNCTION) terminal.collect = va_arg(values, Collect);
  if (option == CURLOPT_WRITEDATA) terminal.to = va_arg(values, void*);
  if (option == CURLOPT_URL) terminal.path = va_arg(values, const char*);
  va_end(values);
  return CURLE_OK;
}

CURLcode perform(CURL*) {
  const Part part =
      terminal.next < terminal.answers.size() ? terminal.answers[terminal.next] : Part();
  ++terminal.next;
  if (part.size() >= 2 && part[0] == '!')
    return static_cast<CURLcode>(1 + part[1] % (CURL_LAST - 1));
  std::string text = answer_of(part);
  // As libcurl delivers: in pieces of at most 16 kB.
  for (std::size_t at = 0; at < text.size(); at += CURL_MAX_WRITE_SIZE) {
    const std::size_t bytes = std::min<std::size_t>(text.size() - at, CURL_MAX_WRITE_SIZE);
    if (terminal.collect(text.data() + at, 1, bytes, terminal.to) != bytes)
      return CURLE_WRITE_ERROR;
  }
  return CURLE_OK;
}

CURLcode get_info(CURL*, CURLINFO info, ...) {
  std::va_list values;
  va_start(values, info);
  if (info == CURLINFO_RESPONSE_CODE) *va_arg(values, long*) = 200;
  va_end(values);
  return CURLE_OK;
}

/// The cloud's has no couplings, so that every good sample has the energy 0.
const qama::hal::DenseView& problem() {
  const auto make = [](std::int16_t limit) {
    qama::hal::test::Random random(1);
    return qama::hal::test::OwnedProblem::random(
        {kHeads, kTokens}, qama::hal::test::ProblemKind::dense, limit, random);
  };
  static auto coupled = make(9), empty = make(0);
  static const qama::hal::DenseView views[] = {coupled.problem(), empty.problem()};
  return views[terminal.cloud ? 1 : 0];
}

/// Of the user id and of the SDK code.
const std::string& secret_file() {
  static const std::string text = "secret\n";
  static const qama::fuzz::MemoryFile file(
      {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  static const std::string path = file.path();
  return path;
}

void run() {
  using namespace qama::hal;
  const auto device = open_device(
      terminal.cloud ? "qboson-cloud+http://127.0.0.1:1?ancillas=1&in_flight=1&timeout_ms=1000"
                       "&user_id_file=" +
                           secret_file() + "&sdk_code_file=" + secret_file()
                     : "qboson+http://127.0.0.1:1?user=u&timeout_ms=1000");
  if (!device.ok()) {
    if (device.error().message.empty()) std::abort();
    return;
  }
  const auto solver = (*device)->compile({kHeads, kTokens});
  if (!solver.ok()) return;
  std::vector<std::uint64_t> spins(kHeads);
  SolveResult result;
  SolveOptions options;
  // Of the terminal less than a pause between two polls; of the cloud two polls.
  options.deadline_us = terminal.cloud ? 140'000 : 4000;
  const auto status = (*solver)->solve(problem(), options, spins, result);
  if (status.ok() && result.energy != energy_of(problem(), spins)) std::abort();
  if (!status.ok() && status.error().message.empty()) std::abort();
}

}  // namespace

namespace qama::hal::cim {

const CurlLibrary* curl_library() {
  static const CurlLibrary library = [] {
    CurlLibrary c{};
    c.easy_init = +[]() -> CURL* { return &terminal; };
    c.easy_cleanup = +[](CURL*) {};
    c.easy_reset = +[](CURL*) {};
    c.easy_setopt = &set_option;
    c.easy_perform = &perform;
    c.easy_getinfo = &get_info;
    c.easy_strerror = +[](CURLcode) { return "it failed"; };
    c.slist_append = +[](curl_slist* list, const char* text) {
      return new curl_slist{const_cast<char*>(::strdup(text)), list};
    };
    c.slist_free_all = +[](curl_slist* list) {
      while (list != nullptr) {
        curl_slist* const next = list->next;
        std::free(list->data);
        delete list;
        list = next;
      }
    };
    c.mime_init = +[](CURL*) { return reinterpret_cast<curl_mime*>(&terminal); };
    c.mime_addpart = +[](curl_mime*) { return reinterpret_cast<curl_mimepart*>(&terminal); };
    c.mime_name = +[](curl_mimepart*, const char*) { return CURLE_OK; };
    c.mime_filename = c.mime_name;
    c.mime_type = c.mime_name;
    c.mime_data = +[](curl_mimepart*, const char*, std::size_t) { return CURLE_OK; };
    c.mime_free = +[](curl_mime*) {};
    return c;
  }();
  return &library;
}

}  // namespace qama::hal::cim

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int environment = ::setenv("QAMA_QBOSON_PASSWORD", "secret", 1);
  if (environment != 0) std::abort();
  terminal = {};
  terminal.answers = qama::fuzz::parts_of({data, size}, kMostAnswers);
  if (!terminal.answers.empty() && qama::fuzz::text_of(terminal.answers[0]) == "cloud") {
    terminal.cloud = true;
    terminal.answers.erase(terminal.answers.begin());
  }
  run();
  return 0;
}
