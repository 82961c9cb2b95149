// qama_write_corpus DIRECTORY: writes every file of bad_files.h as NAME.ERROR.safetensors (good
// ones: NAME.OK.safetensors), for trying a program on them by hand and for seeding fuzzers.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "tests/weights/bad_files.h"

int main(int argc, char** argv) {
  using namespace qama::test;
  if (argc != 2) {
    std::fprintf(stderr, "usage: qama_write_corpus DIRECTORY\n");
    return 2;
  }
  const std::filesystem::path directory = argv[1];
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  std::size_t count = 0;
  for (const auto& files : {good_model_files(), good_golden_files(), bad_model_files()}) {
    for (const NamedFile& file : files) {
      const std::string name =
          file.name + "." + std::string(qama::error_name(file.expected)) + ".safetensors";
      std::ofstream stream(directory / name, std::ios::binary);
      stream.write(reinterpret_cast<const char*>(file.bytes.data()),
                   static_cast<std::streamsize>(file.bytes.size()));
      if (!stream.flush()) {
        std::fprintf(stderr, "qama_write_corpus: cannot write %s\n", name.c_str());
        return 1;
      }
      ++count;
    }
  }
  std::printf("wrote %zu files\n", count);
  return 0;
}
