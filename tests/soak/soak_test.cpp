// Mixed use for a long time: models opened again, sessions made and destroyed, problems solved,
// files and devices that are not there, and an Ising machine that is killed, stays away and comes
// back, with faults at 2 %. Between rounds all workers rest and hold what they keep for good; then
// resident memory, descriptors and threads are counted. They must be flat: their most in the last
// quarter is hardly more than in the second one.
//
// 20 seconds. QAMA_SOAK_MINUTES=60 build/release/bin/soak_test is what the project claims.
#include <malloc.h>
#include <qama/qama.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "hal/base/random.h"
#include "tests/hal/cim/emulator_process.h"
#include "tests/patience.h"

namespace qama::test {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kWorkers = 3;
constexpr int kRounds = 40;
// What may differ without having grown: the allocator's own pools, which a short run has not
// filled; what a kept session has open, which is less while the machine is away.
constexpr double kSlackKilobytes = 1024, kSlackOfShortRun = 2048;
constexpr double kSecondsOfLongRun = 1800;
constexpr double kSlackDescriptors = 3 * kWorkers, kSlackThreads = kWorkers;

/// A process as the system counts it.
struct Footprint {
  long kilobytes = 0, descriptors = 0, threads = 0;
  static Footprint of(const std::string& process) {
    Footprint out;
    std::ifstream status("/proc/" + process + "/status");
    for (std::string word; status >> word;) {
      if (word == "VmRSS:") status >> out.kilobytes;
      if (word == "Threads:") status >> out.threads;
    }
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + process + "/fd", error))
      out.descriptors += entry.path().empty() ? 0 : 1;
    return out;
  }
};

/// What all workers count.
struct Counts {
  std::atomic<long> samples{0}, sessions{0}, models{0}, problems{0}, refusals{0}, by_machine{0},
      fallen_back{0}, wrong{0}, failed{0};
  std::mutex mutex;
  std::map<std::string, long> errors;
  void fail(const api::Status& status) {
    ++failed;
    const std::lock_guard lock(mutex);
    ++errors[std::string(status.name()) + ": " + status.sentence()];
  }
};

struct Task {
  std::string model;
  bool text = false;
};
const std::array<Task, 3> kTasks = {
    {{"mnist-qama", false}, {"fashion-mnist-softmax", false}, {"sst2-qama", true}}};

std::string path_of(const Task& task) {
  return source_path("weights/models/" + task.model + ".safetensors").string();
}

class Worker {
 public:
  Worker(int number, std::string machine, Counts& counts)
      : dice_(static_cast<std::uint64_t>(number)), machine_(std::move(machine)), counts_(counts) {
    SplitMix64 pixels(7);
    for (auto& image : images_) {
      for (auto& value : image) value = static_cast<std::uint8_t>(pixels.next());
    }
  }

  /// Everything at the same time as the other workers, so that the allocator's pools are as large
  /// as they will be.
  void warm_up() {
    for (int time = 0; time < 2; ++time) {
      for (const Task& task : kTasks) once(task);
    }
    on_machine();
    kept();
    problem();
    refused();
  }

  void work_until(Clock::time_point end) {
    while (Clock::now() < end) {
      const auto kind = dice_.next() % 16;
      if (kind < 5) {
        once(kTasks[dice_.next() % kTasks.size()]);
      } else if (kind < 8) {
        on_machine();
      } else if (kind < 12) {
        kept();
      } else if (kind < 14) {
        problem();
      } else {
        refused();
      }
    }
  }

 private:
  /// A model is opened, asked and closed.
  void once(const Task& task) {
    auto model = api::Model::open(path_of(task));
    if (!model.ok()) return counts_.fail(model.status());
    ++counts_.models;
    api::SessionOptions options;
    options.threads = 1 + static_cast<std::int32_t>(dice_.next() % 2);
    options.max_batch = 4;
    auto session = model->session(options);
    if (!session.ok()) return counts_.fail(session.status());
    ++counts_.sessions;
    ask(*session, task, true);
  }

  /// A session on the machine, whether it is there or not.
  void on_machine() {
    auto model = api::Model::open(path_of(kTasks[0]));
    if (!model.ok()) return counts_.fail(model.status());
    ++counts_.models;
    auto session = model->session(for_machine());
    if (!session.ok()) return counts_.fail(session.status());
    ++counts_.sessions;
    ask(*session, kTasks[0], false);
  }

  /// Sessions that live as long as the worker, one of them on the machine.
  void kept() {
    if (!local_) {
      auto model = api::Model::open(path_of(kTasks[0]));
      if (!model.ok()) return counts_.fail(model.status());
      auto local = model->session();
      auto remote = model->session(for_machine());
      if (!local.ok()) return counts_.fail(local.status());
      if (!remote.ok()) return counts_.fail(remote.status());
      local_ = std::make_unique<api::Session>(std::move(*local));
      remote_ = std::make_unique<api::Session>(std::move(*remote));
    }
    ask(*local_, kTasks[0], true);
    ask(*remote_, kTasks[0], false);
  }

  api::SessionOptions for_machine() {
    api::SessionOptions options;
    options.device = machine_.c_str();
    options.fallback = "error";
    options.max_batch = 4;
    options.in_flight = 4;
    return options;
  }

  /// On a CPU a sample has the answer that it always has.
  void ask(api::Session& session, const Task& task, bool on_cpu) {
    const std::size_t which = dice_.next() % images_.size();
    session.set_first_sample(0);
    const auto answer =
        task.text ? session.answer_text("a film of " + std::to_string(which) + " quiet moments")
                  : session.answer_image({images_[which].data(), 28, 28, 1});
    if (!answer.ok()) return counts_.fail(answer.status());
    ++counts_.samples;
    ++(answer->solved_by.starts_with("cim") ? counts_.by_machine : counts_.fallen_back);
    if (on_cpu) --counts_.fallen_back;
    if (answer->class_index < 0) ++counts_.wrong;
    if (!on_cpu) return;
    const std::vector<float> logits(answer->logits.begin(), answer->logits.end());
    const auto& first = expected_.try_emplace(task.model + std::to_string(which), logits).first;
    if (first->second != logits) ++counts_.wrong;
  }

  /// A ring of vertices, whose best cut is known.
  void problem() {
    const auto vertices = static_cast<std::int32_t>(2 * (3 + dice_.next() % 30));
    std::vector<std::int32_t> first, second;
    for (std::int32_t i = 0; i < vertices; ++i) {
      first.push_back(i);
      second.push_back((i + 1) % vertices);
    }
    const auto made = api::Problem::from_graph(vertices, first, second);
    if (!made.ok()) return counts_.fail(made.status());
    api::Problem::Options options;
    options.threads = 1 + static_cast<std::int32_t>(dice_.next() % 2);
    options.restarts = 8;
    const auto solved = made->solve(options);
    if (!solved.ok()) return counts_.fail(solved.status());
    ++counts_.problems;
    const auto value = made->value(solved->answer.data());
    if (!value.ok() || *value != solved->value) ++counts_.wrong;
  }

  /// What must be an error.
  void refused() {
    const auto absent = api::Model::open("/nonexistent/model.safetensors");
    const auto garbage = api::Problem::from_text("this is no problem");
    api::SessionOptions options;
    options.device = "cim://127.0.0.1:1?timeout_ms=50";
    options.fallback = "never";
    const auto model = api::Model::open(path_of(kTasks[0]));
    if (!model.ok()) return counts_.fail(model.status());
    const auto session = model->session(options);
    if (absent.ok() || garbage.ok() || session.ok()) ++counts_.wrong;
    ++counts_.refusals;
  }

  SplitMix64 dice_;
  const std::string machine_;
  Counts& counts_;
  std::array<std::array<std::uint8_t, 28 * 28>, 4> images_{};
  std::map<std::string, std::vector<float>> expected_;
  std::unique_ptr<api::Session> local_, remote_;
};

/// "flat", or by how much the most of the last quarter exceeds that of the second.
std::string growth_of(const std::vector<Footprint>& rounds, long Footprint::*what, double slack,
                      const char* unit) {
  const auto most = [&](std::size_t from, std::size_t to) {
    long out = 0;
    for (std::size_t i = from; i < to; ++i) out = std::max(out, rounds[i].*what);
    return out;
  };
  const std::size_t quarter = rounds.size() / 4;
  const long before = most(quarter, 2 * quarter);
  const long after = most(3 * quarter, rounds.size());
  if (static_cast<double>(after - before) <= slack) return "flat";
  return "not flat: " + std::to_string(before) + " -> " + std::to_string(after) + unit;
}

TEST(Soak, MemoryDescriptorsAndThreadsAreFlat) {
  // Without this, glibc takes large blocks from the pool of a thread as soon as one was freed, and
  // malloc_trim() does not give back a pool's upper end: a model of 14 MB that was closed would
  // count once for each thread that ever opened it.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 17);
  const char* const minutes = std::getenv("QAMA_SOAK_MINUTES");
  const double seconds = minutes == nullptr ? 20 : 60 * std::atof(minutes);
  const auto length =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds / kRounds));
  EmulatorProcess emulator({"--fault-percent", "2", "--seed", "7"});
  ASSERT_TRUE(emulator.alive());
  Counts counts;
  std::vector<Footprint> rounds, emulator_rounds;
  int kills = 0;

  std::atomic<bool> over{false};
  Clock::time_point end;
  std::barrier<> round_begins(kWorkers + 1), round_ends(kWorkers + 1);
  std::vector<std::jthread> threads;
  for (int i = 0; i < kWorkers; ++i) {
    threads.emplace_back([&, i] {
      Worker worker(i, emulator.uri("?timeout_ms=" + std::to_string(300 * kPatience)), counts);
      worker.warm_up();
      while (true) {
        round_begins.arrive_and_wait();
        if (over) return;
        worker.work_until(end);
        round_ends.arrive_and_wait();
      }
    });
  }

  std::printf("%8s %9s %9s %7s %5s %8s %8s %8s %9s %9s %6s %6s\n", "seconds", "resident",
              "emulator", "files", "thr.", "samples", "sessions", "problems", "machine", "fallback",
              "kills", "errors");
  const auto start = Clock::now();
  for (int round = 0; round < kRounds; ++round) {
    end = Clock::now() + length;
    round_begins.arrive_and_wait();
    if (round % 2 == 1) {
      // Gone for a fifth of the round.
      std::this_thread::sleep_for(length / 3);
      emulator.kill_now();
      ++kills;
      std::this_thread::sleep_for(length / 5);
      emulator.restart();
    }
    round_ends.arrive_and_wait();
    // What was given back to the allocator is no growth.
    ::malloc_trim(0);
    rounds.push_back(Footprint::of("self"));
    emulator_rounds.push_back(Footprint::of(std::to_string(emulator.pid())));
    const Footprint& now = rounds.back();
    std::printf("%8.1f %6ld kB %6ld kB %7ld %5ld %8ld %8ld %8ld %9ld %9ld %6d %6ld\n",
                std::chrono::duration<double>(Clock::now() - start).count(), now.kilobytes,
                emulator_rounds.back().kilobytes, now.descriptors, now.threads,
                counts.samples.load(), counts.sessions.load(), counts.problems.load(),
                counts.by_machine.load(), counts.fallen_back.load(), kills, counts.failed.load());
    std::fflush(stdout);
  }
  over = true;
  round_begins.arrive_and_wait();
  threads.clear();

  for (const auto& [error, times] : counts.errors)
    std::printf("%ld times %s\n", times, error.c_str());
  const double slack = seconds < kSecondsOfLongRun ? kSlackOfShortRun : kSlackKilobytes;
  const std::string memory = growth_of(rounds, &Footprint::kilobytes, slack, " kB");
  const std::string emulator_memory =
      growth_of(emulator_rounds, &Footprint::kilobytes, slack, " kB");
  const std::string files = growth_of(rounds, &Footprint::descriptors, kSlackDescriptors, "");
  const std::string thread_count = growth_of(rounds, &Footprint::threads, kSlackThreads, "");
  std::printf(
      "memory %s, of the emulator %s, descriptors %s, threads %s; %ld models opened, %ld "
      "refusals\n",
      memory.c_str(), emulator_memory.c_str(), files.c_str(), thread_count.c_str(),
      counts.models.load(), counts.refusals.load());
  // A sanitizer keeps what was freed, and notes of its own.
  if (kPatience == 1) {
    EXPECT_EQ(memory, "flat");
    EXPECT_EQ(emulator_memory, "flat");
  }
  EXPECT_EQ(files, "flat");
  EXPECT_EQ(thread_count, "flat");
  EXPECT_EQ(counts.wrong, 0);
  EXPECT_EQ(counts.failed, 0);
  EXPECT_GT(counts.samples, 0);
  EXPECT_GT(counts.by_machine, 0);
}

}  // namespace
}  // namespace qama::test
