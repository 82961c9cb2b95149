// attention_scaling: the complexity column of the paper's Table VII, measured: time and working
// memory of one attention layer by number of tokens, for softmax, QAMA and the rivals, with random
// inputs. From projected queries, keys and values to the heads' outputs on one thread; the
// projections, alike for all, are left out. QAMA: dense couplings below 256 tokens, factors from
// there (J is never built), and its time is mostly its sweeps'.
//
//   attention_scaling                       the table; about three minutes
//   attention_scaling --tokens 64 512 --kinds softmax longformer --seconds 0.5
//
// Working memory is what the operator needs besides its input and output. Rounds go through all
// kinds in turn, so that a busy moment hits each of them; a kind stops when its seconds are spent.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/layer_pass.h"
#include "bench/measure.h"
#include "hal/form.h"
#include "ops/attention/bigbird.h"
#include "ops/attention/linformer.h"
#include "ops/attention/longformer.h"
#include "ops/attention/performer.h"
#include "ops/attention/reformer.h"
#include "ops/attention/softmax.h"

namespace {

using namespace qama;

struct Options {
  std::vector<std::int64_t> tokens = {64, 512, 2048, 8192, 32768};
  std::vector<std::string> kinds = {"softmax",   "qama",      "longformer", "bigbird",
                                    "linformer", "performer", "reformer"};
  std::int64_t heads = 8, dim_head = 16;
  std::int32_t sweeps = 8, restarts = 1;
  double seconds = 3;
  int cpu = -1;
};

/// One kind at one number of tokens.
struct Candidate {
  std::string kind, parameters;
  std::int64_t memory_bytes = 0;
  std::function<Status()> run;
  std::function<std::string()> checksum;
  std::vector<double> times_us;
  double spent_us = 0;
};

/// Inputs and outputs that all mixing kinds of one size share.
struct Data {
  AlignedBuffer<float> qkv, out;
};

void fill(AlignedBuffer<float>& values, std::uint64_t seed, double deviation) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0.0F, static_cast<float>(deviation));
  for (float& value : values.span()) value = normal(random);
}

std::string checksum_of(const AlignedBuffer<float>& values) {
  bench::Checksum sum;
  for (const float value : values.span()) sum.add(std::lrint(static_cast<double>(value) * 1e3));
  return sum.text();
}

Result<std::unique_ptr<ops::MixingAttention>> mixing(const std::string& kind,
                                                     const ops::MixingShape& shape,
                                                     std::string& parameters) {
  const std::int64_t n = shape.tokens;
  if (kind == "longformer") {
    parameters = "window 32, 2 global tokens";
    return ops::LongformerAttention::create(shape, 32, 2);
  }
  if (kind == "bigbird") {
    const std::int64_t block = n >= 512 ? 32 : 8;
    parameters = "blocks of " + std::to_string(block) + ": 1 either side, 1 global, 2 random";
    const std::int64_t blocks = (n + block - 1) / block;
    std::mt19937_64 random(5);
    std::vector<std::int32_t> table(static_cast<std::size_t>(2 * blocks));
    for (auto& number : table)
      number = static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(blocks));
    return ops::BigBirdAttention::create(shape, {block, 1, 1, 2, table});
  }
  if (kind == "linformer") {
    parameters = "rank 64";
    AlignedBuffer<float> k(static_cast<std::size_t>(64 * n));
    AlignedBuffer<float> v(k.size());
    fill(k, 6, 1.0 / std::sqrt(static_cast<double>(n)));
    fill(v, 7, 1.0 / std::sqrt(static_cast<double>(n)));
    return ops::LinformerAttention::create(shape, 64, k.span(), v.span());
  }
  if (kind == "performer") {
    parameters = "64 features";
    AlignedBuffer<float> features(static_cast<std::size_t>(64 * shape.dim_head));
    fill(features, 8, 1.0);
    return ops::PerformerAttention::create(shape, 64, features.span());
  }
  if (kind == "reformer") {
    const std::int64_t buckets = std::clamp<std::int64_t>(n / 32 / 2 * 2, 4, 512);
    parameters = "2 hashes, " + std::to_string(buckets) + " buckets, chunks of 32";
    AlignedBuffer<float> rotations(static_cast<std::size_t>(2 * shape.dim_head * buckets / 2));
    fill(rotations, 9, 1.0);
    return ops::ReformerAttention::create(shape, {2, buckets, 32, rotations.span()});
  }
  return Error{ErrorCode::invalid_argument, "kind '" + kind +
                                                "', expected softmax, qama, longformer, bigbird, "
                                                "linformer, performer or reformer"};
}

template <typename Pass>
Result<Candidate> qama_candidate(const bench::InstanceClass& of, hal::Device& device,
                                 const Options& options, const char* form) {
  QAMA_ASSIGN_OR_RETURN(auto made, Pass::create(of, device));
  const std::shared_ptr<Pass> pass = std::move(made);
  const auto data = std::make_shared<bench::PassData>(bench::pass_data(of, 1));
  hal::SolveOptions solve;
  solve.schedule.sweeps = options.sweeps;
  solve.schedule.restarts = options.restarts;
  Candidate out;
  out.kind = "qama";
  out.parameters = std::string(form) + ", " + std::to_string(options.sweeps) + " sweeps x " +
                   std::to_string(options.restarts);
  out.run = [pass, data, solve] {
    bench::PassTimes times;
    return pass->run(*data, solve, times);
  };
  QAMA_RETURN_IF_ERROR(out.run());  // sizes what is sized by the first solve
  out.memory_bytes = pass->memory_bytes();
  out.checksum = [pass] {
    bench::Checksum sum;
    for (const std::uint64_t word : pass->spins()) sum.add(static_cast<std::int64_t>(word));
    return sum.text();
  };
  return out;
}

Result<Candidate> candidate(const std::string& kind, std::int64_t tokens, const Options& options,
                            hal::Device& device, const std::shared_ptr<Data>& data) {
  if (kind == "qama") {
    const bench::InstanceClass of{
        "scaling", bench::LayerKind::norm, static_cast<std::int32_t>(options.heads),
        static_cast<std::int32_t>(tokens), static_cast<std::int32_t>(options.dim_head)};
    const hal::Form form = hal::choose_form(
        {.shape = {of.heads, of.tokens}, .rank = of.rank, .forms = device.forms()});
    if (form == hal::Form::factors)
      return qama_candidate<bench::FactorPass>(of, device, options, "factors");
    return qama_candidate<bench::DensePass>(of, device, options, "dense");
  }
  Candidate out;
  out.kind = kind;
  const auto scratch = std::make_shared<AlignedBuffer<float>>();
  if (kind == "softmax") {
    const ops::SoftmaxAttention op{options.heads, options.dim_head};
    scratch->resize(op.scratch_bytes(tokens) / sizeof(float));
    out.run = [=] {
      op.run(tokens, data->qkv.data(), data->out.data(), scratch->data());
      return Status();
    };
  } else {
    QAMA_ASSIGN_OR_RETURN(auto made,
                          mixing(kind, {tokens, options.heads, options.dim_head}, out.parameters));
    const std::shared_ptr<const ops::MixingAttention> op = std::move(made);
    scratch->resize(op->scratch_floats());
    out.run = [=] {
      op->run(tokens, data->qkv.data(), data->out.data(), scratch->data());
      return Status();
    };
  }
  out.memory_bytes = static_cast<std::int64_t>(scratch->size() * sizeof(float));
  out.checksum = [data] { return checksum_of(data->out); };
  return out;
}

Status measure(std::int64_t tokens, const Options& options, hal::Device& device,
               bench::Table& table) {
  const auto data = std::make_shared<Data>();
  data->qkv.resize(static_cast<std::size_t>(tokens * 3 * options.heads * options.dim_head));
  data->out.resize(static_cast<std::size_t>(tokens * options.heads * options.dim_head));
  fill(data->qkv, 4, 1.0);
  std::vector<Candidate> all;
  for (const std::string& kind : options.kinds) {
    QAMA_ASSIGN_OR_RETURN(auto one, candidate(kind, tokens, options, device, data));
    all.push_back(std::move(one));
  }
  std::vector<std::string> checksums(all.size());
  constexpr std::size_t kMostRounds = 1001;
  for (bool more = true; more;) {
    more = false;
    for (std::size_t i = 0; i < all.size(); ++i) {
      Candidate& one = all[i];
      if (!one.times_us.empty() &&
          (one.spent_us > options.seconds * 1e6 || one.times_us.size() >= kMostRounds)) {
        continue;
      }
      more = true;
      const double start = bench::now_us();
      QAMA_RETURN_IF_ERROR(one.run());
      const double took = bench::microseconds_since(start);
      // The first run fills caches; it counts only where nobody waits for a second.
      if (checksums[i].empty()) {
        checksums[i] = one.checksum();
        one.spent_us += took;
        if (took > options.seconds * 1e6) one.times_us.push_back(took);
        continue;
      }
      one.times_us.push_back(took);
      one.spent_us += took;
    }
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Candidate& one = all[i];
    const double us = bench::median(one.times_us);
    table.add({std::to_string(tokens), one.kind, one.parameters, bench::figure(us),
               bench::figure(us * 1e3 / static_cast<double>(tokens)),
               std::to_string(one.times_us.size()), std::to_string(one.memory_bytes),
               checksums[i]});
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Time and working memory of one attention layer by number of tokens");
  app.add_option("--tokens", options.tokens)->check(CLI::Range(1, 1 << 20))->capture_default_str();
  app.add_option("--kinds", options.kinds)->capture_default_str();
  app.add_option("--heads", options.heads)->check(CLI::Range(1, 64))->capture_default_str();
  app.add_option("--dim-head", options.dim_head)->check(CLI::Range(1, 256))->capture_default_str();
  app.add_option("--sweeps", options.sweeps, "Of QAMA's annealer")->capture_default_str();
  app.add_option("--restarts", options.restarts)->capture_default_str();
  app.add_option("--seconds", options.seconds, "For a kind at a number of tokens")
      ->capture_default_str();
  app.add_option("--cpu", options.cpu, "To run on; -1: the last of the mask");
  CLI11_PARSE(app, argc, argv);

  bench::pin_thread(options.cpu);
  std::printf("%s\n%lld heads, dim_head %lld, one thread, medians; random inputs, kernels %s\n\n",
              bench::provenance().c_str(), static_cast<long long>(options.heads),
              static_cast<long long>(options.dim_head),
              std::string(ops::best_kernels().name).c_str());
  auto device = hal::open_device("cpu:");
  if (!device.ok()) {
    std::fprintf(stderr, "attention_scaling: %s\n", device.error().message.c_str());
    return 1;
  }
  bench::Table table({"tokens", "attention", "parameters", "us a layer", "ns a token", "runs",
                      "working memory, bytes", "checksum"});
  for (const std::int64_t tokens : options.tokens) {
    const Status status = measure(tokens, options, **device, table);
    if (!status.ok()) {
      std::fprintf(stderr, "attention_scaling: %s\n", status.error().message.c_str());
      return 1;
    }
  }
  std::printf("%s", table.text().c_str());
  return 0;
}
