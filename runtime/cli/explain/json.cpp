#include "runtime/cli/explain/report.h"

namespace qama::cli {
namespace {

/// Values of a layer, a row a head.
template <typename Values>
Json grid(const Layer& layer, const Values& values) {
  Json rows = Json::array();
  const std::size_t n = values.size() / static_cast<std::size_t>(layer.heads);
  for (std::size_t t = 0; t < static_cast<std::size_t>(layer.heads); ++t) {
    Json row = Json::array();
    for (std::size_t i = 0; i < n; ++i) row.push_back(values[t * n + i]);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

Json explanation_json(const Explanation& e) {
  Json out;
  out["model"] = e.model_path;
  out["input"] = e.input;
  out["label"] = e.label;
  out["class"] = e.answer;
  out["probability"] = e.probability;
  out["device"] = e.device;
  out["solved_by"] = e.solvers.solved_by();
  out["seed"] = e.seed;
  out["bits"] = e.layers.empty() ? 1 : e.layers.front().bits;
  for (const char* key : {"energy", "energy_without_penalty", "masks", "flip_energies",
                          "mean_flip_energy", "least_flip_energy", "token_energies", "output"}) {
    out[key] = Json::array();
  }
  if (!e.words.empty()) {
    out["words"] = e.words;
    out["known"] = e.known;
    out["selected_words"] = Json::array();
  }
  for (const Layer& layer : e.layers) {
    if (!e.words.empty()) {
      Json heads = Json::array();
      for (std::int32_t t = 0; t < layer.heads; ++t) heads.push_back(e.selected_words(layer, t));
      out["selected_words"].push_back(std::move(heads));
    }
    out["energy"].push_back(layer.energy);
    out["energy_without_penalty"].push_back(layer.pure_energy);
    out["masks"].push_back(grid(layer, layer.mask));
    out["flip_energies"].push_back(grid(layer, layer.flip_energy));
    out["mean_flip_energy"].push_back(moments(layer.flip_energy).mean);
    out["least_flip_energy"].push_back(least_flip(layer));
    out["token_energies"].push_back(grid(layer, layer.token_energy));
    const Moments m = moments(layer.output);
    out["output"].push_back({{"mean", m.mean}, {"deviation", m.deviation}});
  }
  return out;
}

}  // namespace qama::cli
