// Writes a small untrained image model: what the consumers classify with.
#include <cstdio>

#include "weights/model_writer.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  qama::weights::Architecture a;
  a.image_height = a.image_width = 28;
  a.image_channels = 1;
  a.patch = 4;
  a.dim = a.mlp = 32;
  a.depth = 2;
  a.heads = 4;
  a.dim_head = 8;
  a.classes = 10;
  a.attention.kind = qama::weights::AttentionKind::qama;
  const auto writer = qama::weights::random_model(a, 1);
  if (!writer.ok()) return 1;
  const auto status = writer->write(argv[1]);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.error().message.c_str());
  return status.ok() ? 0 : 1;
}
