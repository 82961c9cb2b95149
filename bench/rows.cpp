#include "bench/rows.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace qama::bench {

void Context::add(Row row) {
  std::fprintf(stderr, "%s  %s: %s (target %s)\n", row.id.c_str(), row.what.c_str(),
               row.measured.c_str(), row.target.c_str());
  rows.push_back(std::move(row));
}

std::string met(bool yes) {
  return yes ? "yes" : "no";
}
std::string percent(double share) {
  char out[20];
  std::snprintf(out, sizeof(out), "%.2f %%", 100 * share);
  return out;
}

Result<std::vector<Layer>> layers_of(Context& context, const InstanceClass& of,
                                     std::uint64_t first_seed, int count) {
  std::vector<Layer> out;
  for (int k = 0; k < count; ++k) {
    QAMA_ASSIGN_OR_RETURN(Layer layer,
                          make_layer(instance(of, first_seed + static_cast<std::uint64_t>(k)),
                                     *context.best_known, *context.device));
    out.push_back(std::move(layer));
  }
  return out;
}

Result<std::map<std::string, std::vector<Layer>>> layers_of_directory(
    Context& context, const std::string& directory) {
  std::map<std::string, double> listed;
  for (const std::string& list :
       {directory + "/best_known.tsv", directory + "/../best_known.tsv"}) {
    std::ifstream stream(list);
    for (std::string line; std::getline(stream, line);) {
      std::istringstream words(line);
      std::string name;
      std::string kind;
      double energy = 0;
      if (words >> name >> kind >> energy)
        listed[std::filesystem::path(name).filename().string()] = energy;
    }
  }
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".txt" || entry.path().extension() == ".qama")
      paths.push_back(entry.path());
  }
  if (error || paths.empty()) {
    return Error{ErrorCode::not_found,
                 "directory '" + directory + "': no layers (*.txt, *.qama) in it"};
  }
  std::sort(paths.begin(), paths.end());
  std::map<std::string, std::vector<Layer>> out;
  for (const auto& path : paths) {
    QAMA_ASSIGN_OR_RETURN(auto file, read_problem_file(path.string()));
    if (file.kind != hal::ProblemKind::qama || file.layer.tokens > hal::kMaxDenseTokens) continue;
    const auto known = listed.find(path.filename().string());
    QAMA_ASSIGN_OR_RETURN(Layer layer,
                          make_layer(std::move(file.layer), *context.best_known, *context.device));
    if (known != listed.end() && known->second < layer.best) {
      context.best_known->improve(layer.real, known->second);
      layer.best = known->second;
    }
    // "norm0_8x49x8_s3" belongs to class norm0_8x49x8, "mnist-qama_00007_01" to group
    // mnist-qama_8x49.
    const std::string stem = path.stem().string();
    std::string group = stem.substr(0, stem.rfind("_s"));
    if (find_class(group) == nullptr) {
      group = stem.substr(0, stem.find('_')) + "_" + std::to_string(layer.real.heads) + "x" +
              std::to_string(layer.real.tokens);
    }
    out[group].push_back(std::move(layer));
  }
  return out;
}

bool tunes(const std::string& group, std::size_t index) {
  return find_class(group) == nullptr && index % 4 == 0;
}

double fixed_budget_us(std::string_view name) {
  if (name == "norm0_8x49x8" || name == "norm_8x49x8") return 95;
  if (name == "norm0_8x64x16" || name == "norm_8x64x16") return 237;
  return 0;
}

}  // namespace qama::bench
