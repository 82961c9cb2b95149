// Uses of the C API in which every allocation may fail (tests/out_of_memory.h).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "hal/base/strict_json.h"
#include "qama/qama.h"
#include "tests/out_of_memory.h"
#include "tests/test_support.h"

namespace qama::test {
namespace {

void every_request_may_fail(const char* name, std::size_t answers, const Use& use) {
  test::every_request_may_fail(name, answers, use, qama_last_error);
}

qama_status classify(const char* model_name, std::int32_t threads, std::vector<float>& out) {
  static const std::string folder = source_path("weights/models/").string();
  static const std::vector<std::uint8_t> pixels(2 * 28 * 28, 77);
  char path[512];
  std::snprintf(path, sizeof path, "%s%s.safetensors", folder.c_str(), model_name);
  qama_model* model = nullptr;
  if (const qama_status status = qama_model_open(path, &model); status != 0) return status;
  qama_session_options options;
  qama_session_options_init(&options);
  options.max_batch = 2;
  options.threads = threads;
  qama_session* session = nullptr;
  qama_status status = qama_session_create(model, &options, &session);
  for (int run = 0; run < 2 && status == 0; ++run) {
    status = qama_session_classify_u8(session, pixels.data(), 2, out.data() + 20 * run);
    qama_session_set_first_sample(session, 0);
  }
  qama_session_destroy(session);
  qama_model_close(model);
  return status;
}

TEST(OutOfMemory, OpenAndClassify) {
  every_request_may_fail("classify", 40, [](auto& out) { return classify("mnist-qama", 1, out); });
}

TEST(OutOfMemory, OpenAndClassifyWithThreads) {
  every_request_may_fail("classify, 3 threads", 40,
                         [](auto& out) { return classify("mnist-qama", 3, out); });
}

TEST(OutOfMemory, SolveLayers) {
  for (const std::int32_t threads : {1, 3}) {
    every_request_may_fail("solver", 2 * 8, [threads](auto& out) {
      static const std::vector<float> couplings(2 * 2 * 4 * 4, 0.5F);
      static const std::vector<float> fields(2 * 2 * 4, -0.25F);
      qama_solver_options options;
      qama_solver_options_init(&options);
      options.threads = threads;
      qama_solver* solver = nullptr;
      qama_status status = qama_solver_create(nullptr, 2, 4, &options, &solver);
      std::uint8_t spins[2 * 8] = {};
      if (status == 0) {
        status = qama_solver_solve_f32(solver, 2, couplings.data(), fields.data(), 0.75F, nullptr,
                                       1, spins, nullptr);
      }
      std::copy(std::begin(spins), std::end(spins), out.begin());
      qama_solver_destroy(solver);
      return status;
    });
  }
}

TEST(OutOfMemory, SolveAProblem) {
  for (const char* device : {"cpu:", "exact:"}) {
    for (const std::int32_t threads : {1, 3}) {
      every_request_may_fail("problem", 5, [device, threads](auto& out) {
        static const std::string text = "5 6\n1 2 1\n2 3 1\n3 4 1\n4 5 1\n5 1 1\n1 3 2\n";
        qama_problem* problem = nullptr;
        qama_status status = qama_problem_from_text(text.data(), text.size(), "maxcut", &problem);
        qama_solve_options options;
        qama_solve_options_init(&options);
        options.device = device;
        options.threads = threads;
        std::uint8_t answer[5] = {};
        if (status == 0) status = qama_problem_solve(problem, &options, answer, nullptr);
        std::copy(std::begin(answer), std::end(answer), out.begin());
        qama_problem_close(problem);
        return status;
      });
    }
  }
}

// An empty value that becomes an object or an array has its type before it has the memory.
TEST(OutOfMemory, BuildJson) {
  const auto build = [](std::vector<float>& out) {
    try {
      nlohmann::ordered_json value;
      value["list"].push_back(1);
      value["list"] += 2;
      value["inner"]["key"] = "a text that is longer than what a string holds by itself";
      Json other;
      other.emplace("a", 1);
      other["b"].emplace_back(2);
      out[0] = static_cast<float>(value.dump().size() + other.dump().size());
      return 0;
    } catch (const std::bad_alloc&) {
      return static_cast<int>(ErrorCode::out_of_memory);
    }
  };
  test::every_request_may_fail(
      "JSON", 1, build, [] { return "a value of JSON"; }, 1);
}

TEST(OutOfMemory, SampleAProblem) {
  for (const std::int32_t threads : {1, 3}) {
    every_request_may_fail("sampling", 5 * 4, [threads](auto& out) {
      static const std::string text = "5 6\n1 2 1\n2 3 1\n3 4 1\n4 5 1\n5 1 1\n1 3 2\n";
      qama_problem* problem = nullptr;
      qama_status status = qama_problem_from_text(text.data(), text.size(), "maxcut", &problem);
      qama_sample_options options;
      qama_sample_options_init(&options);
      options.threads = threads;
      std::uint8_t answers[5 * 4] = {};
      if (status == 0) status = qama_problem_sample(problem, &options, 4, answers, nullptr);
      std::copy(std::begin(answers), std::end(answers), out.begin());
      qama_problem_close(problem);
      return status;
    });
  }
}

}  // namespace
}  // namespace qama::test
