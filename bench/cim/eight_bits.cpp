// eight_bits: what rounding to 8-bit couplings costs on the real layers of a model, with one
// ancilla and with more. The rounded problem is solved at length by the CPU annealer, as integers
// of its own, and the spins are priced in the true problem: so the loss is the rounding's and not a
// machine's. The last lines are whole machines: the emulator's noise and dynamics come on top. One
// JSON object on stdout.
//
//   eight_bits MODEL DATASET DATA [IMAGES]      default 100 images
#include <cmath>
#include <cstdlib>

#include "bench/cim/emulator.h"
#include "bench/measure.h"
#include "hal/cim/quantise.h"
#include "hal/device.h"
#include "hal/lower/problem_builder.h"
#include "runtime/engine/session.h"
#include "runtime/io/dataset.h"

namespace {

using namespace qama;
using bench::Json;
using bench::must;

constexpr std::int32_t kSweeps = 300;
constexpr std::int32_t kRestarts = 64;

/// Keeps the integers of every layer.
class Keep final : public runtime::ProblemSink {
 public:
  void problem(const runtime::LayerProblem& layer) override {
    if (layer.problem == nullptr || layer.problem->couplings == nullptr) return;
    const hal::DenseView& from = *layer.problem;
    auto buffer = must(hal::ProblemBuffer::create(from.shape));
    const auto target = buffer.target(from.shape);
    const auto stride = static_cast<std::size_t>(hal::row_stride(from.shape.tokens));
    const std::size_t rows =
        static_cast<std::size_t>(from.shape.heads) * static_cast<std::size_t>(from.shape.tokens);
    std::copy_n(from.couplings, rows * stride, target.couplings);
    std::copy_n(from.fields, static_cast<std::size_t>(from.shape.heads) * stride, target.fields);
    target.problem->penalty = from.penalty;
    target.problem->row_norm = from.row_norm;
    layers.push_back(std::move(buffer));
  }
  std::vector<hal::ProblemBuffer> layers;
};

/// The rounded problem over s in {0, 1}: with sigma = 2 s - 1, E8 / 2 = - sum 2 J s s - sum (F -
/// sum_j J + (H-1) P) s
/// + 2 P sum s s + constant.
hal::ProblemBuffer as_selection(const hal::cim::QuantisedView& block) {
  auto buffer = must(hal::ProblemBuffer::create(block.shape));
  const auto target = buffer.target(block.shape);
  const auto n = static_cast<std::size_t>(block.shape.tokens);
  const auto stride = static_cast<std::size_t>(hal::row_stride(block.shape.tokens));
  const std::int8_t* from = block.couplings.data();
  for (std::size_t t = 0; t < static_cast<std::size_t>(block.shape.heads); ++t) {
    std::int16_t* head = target.couplings + t * n * stride;
    std::vector<int> sums(n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = i + 1; j < n; ++j) {
        const int value = *from++;
        head[i * stride + j] = head[j * stride + i] = static_cast<std::int16_t>(2 * value);
        sums[i] += value;
        sums[j] += value;
      }
    }
    for (std::size_t i = 0; i < n; ++i) {
      target.fields[t * stride + i] = static_cast<std::int16_t>(
          block.fields[t * n + i] - sums[i] + (block.shape.heads - 1) * block.penalty);
    }
  }
  target.problem->penalty = static_cast<std::int16_t>(2 * block.penalty);
  must(hal::validate(*target.problem));
  return buffer;
}

}  // namespace

int main(int argc, char** argv) {
  const char* usage = "eight_bits MODEL DATASET DATA [IMAGES]";
  if (argc < 4) bench::fail(std::string("usage: ") + usage);
  const int images = bench::number_at(argc, argv, 4, 100, usage);
  const auto model = must(runtime::Model::open(argv[1]));
  const weights::Architecture& a = model->architecture();
  if (!a.is_qama() || !a.is_image()) bench::fail("expected an image model with QAMA attention");
  const auto session = must(runtime::Session::create(model, {}));
  const auto set = must(io::open_dataset(argv[2], argv[3], ""));
  Keep keep;
  std::vector<float> logits(static_cast<std::size_t>(model->classes()));
  for (int i = 0; i < images; ++i) {
    io::Sample sample;
    must(set->next(sample));
    runtime::RunOptions options;
    options.first_sample = static_cast<std::uint64_t>(i);
    options.hooks.problems = &keep;
    must(session->run_u8(sample.image.pixels, 1, logits, options));
  }
  const hal::ProblemShape shape{a.heads, a.tokens()};
  const auto words = static_cast<std::size_t>(shape.heads) *
                     static_cast<std::size_t>(hal::words_per_head(shape.tokens));
  const auto cpu = must(hal::open_device("cpu:"));
  const auto solver = must(cpu->compile(shape));
  hal::SolveOptions options;
  options.schedule.sweeps = kSweeps;
  options.schedule.restarts = kRestarts;
  std::vector<std::uint64_t> spins(words);
  hal::SolveResult result;
  std::vector<std::int64_t> best;
  std::int64_t checksum = 0;
  for (const auto& layer : keep.layers) {
    must(solver->solve(layer.problem(), options, spins, result));
    best.push_back(result.energy);
    checksum += result.energy;
  }

  Json out = {
      {"bench", "eight_bits"},
      {"model", argv[1]},
      {"model_sha256", model->file().sha256()},
      {"images", images},
      {"layers", keep.layers.size()},
      {"heads", shape.heads},
      {"tokens", shape.tokens},
      {"provenance", bench::provenance()},
      {"reference", {{"device", cpu->info().uri}, {"sweeps", kSweeps}, {"restarts", kRestarts}}},
      {"max_spins", 550},
      {"best_energies_sum", checksum}};
  const auto loss_of = [&](std::size_t i, std::int64_t energy) {
    return best[i] == 0 ? 0.0
                        : 100.0 * static_cast<double>(energy - best[i]) /
                              std::fabs(static_cast<double>(best[i]));
  };
  const auto losses = [&](std::vector<double>& loss) {
    double sum = 0;
    double good = 0;
    for (const double value : loss) {
      sum += value;
      good += value <= 0.1 ? 1 : 0;
    }
    const auto n = static_cast<double>(std::max<std::size_t>(loss.size(), 1));
    return Json{{"mean", sum / n},
                {"p50", bench::quantile(loss, 0.5)},
                {"p95", bench::quantile(loss, 0.95)},
                {"max", bench::quantile(loss, 1)},
                {"within_0.1", 100 * good / n}};
  };

  Json rounding = Json::array();
  for (const std::int32_t ancillas : {1, 2, 4, 8, 0}) {
    hal::cim::QuantiseOptions quantise;
    quantise.ancillas = ancillas;
    auto quantiser = must(hal::cim::Quantiser::create(shape, quantise));
    std::vector<double> loss;
    std::vector<double> used;
    double deviation = 0;
    double zeroed = 0;
    for (std::size_t i = 0; i < keep.layers.size(); ++i) {
      hal::cim::QuantiseReport report;
      must(quantiser.run(keep.layers[i].problem(), &report));
      const hal::ProblemBuffer rounded = as_selection(quantiser.view());
      must(solver->solve(rounded.problem(), options, spins, result));
      loss.push_back(loss_of(i, hal::energy_of(keep.layers[i].problem(), spins)));
      used.push_back(report.ancillas);
      deviation += report.coupling_deviation / static_cast<double>(keep.layers.size());
      zeroed += report.zeroed_share / static_cast<double>(keep.layers.size());
    }
    rounding.push_back({{"asked_ancillas", ancillas == 0 ? Json("automatic") : Json(ancillas)},
                        {"ancillas_p50", bench::quantile(used, 0.5)},
                        {"coupling_deviation_steps", deviation},
                        {"couplings_rounded_to_0_percent", 100 * zeroed},
                        {"energy_loss_percent", losses(loss)}});
  }
  out["rounding"] = std::move(rounding);

  const bench::Emulator emulator("");
  Json machine = Json::array();
  for (const char* query : {"?ancillas=1&reads=1", "?reads=1", "?ancillas=1&reads=8", "?reads=8"}) {
    const auto device = must(hal::open_device(emulator.uri(query)));
    const auto far = must(device->compile(shape));
    std::vector<double> loss;
    for (std::size_t i = 0; i < keep.layers.size(); ++i) {
      hal::SolveOptions asked;
      asked.seed = i + 1;
      must(far->solve(keep.layers[i].problem(), asked, spins, result));
      loss.push_back(loss_of(i, result.energy));
    }
    machine.push_back(
        {{"options", query}, {"is_emulated", true}, {"energy_loss_percent", losses(loss)}});
  }
  out["emulated_machine"] = std::move(machine);
  std::printf("%s\n", out.dump(1).c_str());
  return 0;
}
