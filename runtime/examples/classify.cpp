// Classifies an image and lists the three likeliest classes. Run it at the top of the source tree;
// with the package installed, build it by
// `c++ -std=c++20 classify.cpp $(pkg-config --cflags --libs qama)`.
#include <cstdio>
#include <qama/qama.hpp>

int main() {
  const auto model = qama::api::Model::open("weights/models/fashion-mnist-qama.safetensors");
  if (!model) return std::puts(model.status().sentence().c_str()), 1;
  auto session = model->session();
  if (!session) return std::puts(session.status().sentence().c_str()), 1;
  const auto answer = session->answer_file("runtime/examples/images/shoe.png");
  if (!answer) return std::puts(answer.status().sentence().c_str()), 1;
  for (const auto& [index, label, probability] : answer->top.first(3)) {
    std::printf("%s, %.1f %%\n", label, 100 * probability);
  }
}
