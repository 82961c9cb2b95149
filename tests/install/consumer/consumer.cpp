// The same as consumer.c through the C++ wrapper.
#include <algorithm>
#include <cstdio>
#include <qama/qama.hpp>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto model = qama::api::Model::open(argv[1]);
  if (!model) {
    std::fprintf(stderr, "%s: %s\n", model.status().name(), model.status().sentence().c_str());
    return 1;
  }
  auto session = model->session();
  if (!session) return 1;
  const std::vector<std::uint8_t> pixels(
      static_cast<std::size_t>(model->height() * model->width() * model->channels()));
  std::vector<float> logits(static_cast<std::size_t>(model->classes()));
  const auto status = session->classify(pixels.data(), 1, logits.data());
  if (!status) return 1;
  const auto best = std::max_element(logits.begin(), logits.end());
  const auto arena = model->arena_bytes();
  std::printf("qama %s: class %s, logit %.6f, arena %zu bytes\n", qama_version(),
              std::string(model->label(static_cast<std::int32_t>(best - logits.begin()))).c_str(),
              static_cast<double>(*best), arena ? *arena : 0);
  return 0;
}
