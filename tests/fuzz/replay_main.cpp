// main() for fuzz targets in builds without libFuzzer.
//
//   fuzz_NAME [-seconds=S] [-seed=N] PATH...
//
// Runs LLVMFuzzerTestOneInput once for every file given, and for every file below every directory
// given. With -seconds it then goes on with mutations of these files for so long; the environment
// variable QAMA_FUZZ_SECONDS, where it is set, says for how long. A crash or a sanitizer report is
// the failure; the input that crashed is left in the file fuzz_NAME.crash. There is no guidance by
// what is reached: tests/fuzz/run, with clang, has that.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "hal/base/random.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
/// A target that knows how its inputs are built has one.
extern "C" __attribute__((weak)) std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data,
                                                                     std::size_t size,
                                                                     std::size_t room,
                                                                     unsigned int seed);

namespace {

namespace fs = std::filesystem;
using Input = std::vector<std::uint8_t>;

constexpr std::size_t kMostBytes = 1U << 16;

qama::SplitMix64 dice(0);
std::vector<Input> corpus;
// Of the input under way, for on_crash().
const std::uint8_t* current = nullptr;
std::size_t current_size = 0;
char crash_name[256] = "fuzz.crash";

std::size_t below(std::size_t bound) {
  return bound == 0 ? 0 : static_cast<std::size_t>(dice.next() % bound);
}

void on_crash(int signal) {
  const int file = ::open(crash_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file >= 0) {
    (void)!::write(file, current, current_size);
    ::close(file);
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const Input& input) {
  // A copy of its own size, so that a read behind the end is seen.
  const Input exact(input);
  current = exact.data();
  current_size = exact.size();
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

constexpr std::string_view kZero("\0", 1);  // the literal alone would be an empty word
/// What stands in files at borders: numbers, brackets, the word between a target's parts.
constexpr std::string_view kWords[] = {
    kZero, "\xFF", "\x7F\xFF", "\x80", "-1",  "0",  "1e999", "nan",  "9223372036854775808",
    "[[[", "{",    "}",        "\"",   "\\u", "\n", ",",     "FUZZ", "\xED\xA0\x80",
    "--",  "=",    "&",        "\t"};

void mutate_once(Input& input) {
  const std::size_t at = below(input.size() + 1);
  switch (below(8)) {
    case 0:
      if (at < input.size()) input[at] ^= static_cast<std::uint8_t>(1U << below(8));
      break;
    case 1:
      if (at < input.size()) input[at] = static_cast<std::uint8_t>(dice.next());
      break;
    case 2: {
      const auto from = input.begin() + static_cast<std::ptrdiff_t>(at);
      input.erase(from,
                  from + static_cast<std::ptrdiff_t>(std::min(1 + below(16), input.size() - at)));
      break;
    }
    case 3: {
      const std::string_view word = kWords[below(std::size(kWords))];
      input.insert(input.begin() + static_cast<std::ptrdiff_t>(at), word.begin(), word.end());
      break;
    }
    case 4: {  // something of the input once more
      const std::size_t bytes = std::min(1 + below(32), input.size() - at);
      const Input piece(input.begin() + static_cast<std::ptrdiff_t>(at),
                        input.begin() + static_cast<std::ptrdiff_t>(at + bytes));
      const std::size_t to = below(input.size() + 1);
      input.insert(input.begin() + static_cast<std::ptrdiff_t>(to), piece.begin(), piece.end());
      break;
    }
    case 5: {  // the end of another one
      const Input& other = corpus[below(corpus.size())];
      const std::size_t from = below(other.size() + 1);
      input.resize(at);
      input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
      break;
    }
    case 6:
      if (at < input.size() && input[at] >= '0' && input[at] <= '9')
        input[at] = static_cast<std::uint8_t>('0' + below(10));
      break;
    default:
      input.resize(at);
      break;
  }
}

}  // namespace

/// As libFuzzer's, which custom mutators call.
extern "C" __attribute__((weak)) std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                                              std::size_t room) {
  Input input(data, data + size);
  mutate_once(input);
  const std::size_t bytes = std::min(input.size(), room);
  std::copy_n(input.begin(), bytes, data);
  return bytes;
}

namespace {

void mutate(Input& input) {
  for (std::size_t times = 1 + below(5); times-- > 0;) {
    if (LLVMFuzzerCustomMutator == nullptr) {
      mutate_once(input);
      continue;
    }
    const std::size_t size = input.size();
    input.resize(std::max(size + 4096, kMostBytes));
    input.resize(LLVMFuzzerCustomMutator(input.data(), size, input.size(),
                                         static_cast<unsigned int>(dice.next())));
  }
  if (input.size() > kMostBytes) input.resize(kMostBytes);
}

bool read_all(const std::vector<fs::path>& files) {
  for (const fs::path& path : files) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) {
      std::fprintf(stderr, "replay: cannot read %s\n", path.c_str());
      return false;
    }
    const std::vector<char> bytes{std::istreambuf_iterator<char>(stream), {}};
    corpus.emplace_back(bytes.begin(), bytes.end());
  }
  return !corpus.empty();
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<fs::path> files;
  double seconds = 0;
  std::uint64_t seed = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    std::error_code error;
    if (word.starts_with("-seconds=")) {
      const char* set = std::getenv("QAMA_FUZZ_SECONDS");
      seconds = std::atof(set != nullptr ? set : argv[i] + std::strlen("-seconds="));
    } else if (word.starts_with("-seed=")) {
      seed = std::strtoull(argv[i] + std::strlen("-seed="), nullptr, 10);
    } else if (!fs::is_directory(argv[i], error)) {
      files.emplace_back(argv[i]);
    } else {
      for (const auto& entry : fs::recursive_directory_iterator(argv[i], error)) {
        if (entry.is_regular_file(error)) files.push_back(entry.path());
      }
    }
  }
  std::sort(files.begin(), files.end());
  if (!read_all(files)) return 1;
  std::snprintf(crash_name, sizeof crash_name, "%s.crash", fs::path(argv[0]).filename().c_str());
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  for (const int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, on_crash);
#endif
  for (const Input& input : corpus) run(input);
  std::printf("replayed %zu inputs\n", corpus.size());
  if (seconds <= 0) return 0;

  dice = qama::SplitMix64(seed);
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto gone = [start] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  std::size_t inputs = 0;
  for (; gone() < seconds; ++inputs) {
    Input input = corpus[below(corpus.size())];
    mutate(input);
    run(input);
  }
  std::printf("ran %zu mutations in %.1f s, %.0f a second\n", inputs, gone(),
              static_cast<double>(inputs) / gone());
  return 0;
}
