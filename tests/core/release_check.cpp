// What `qama verify-install` checks, as a program of a target that has no `qama`: the answers of
// the models of the release to synthetic inputs, and the spins of layers of every form on every
// kernel.
//   release_check MODEL...
#include <algorithm>
#include <cstdio>
#include <string>

#include "hal/device.h"
#include "hal/platform/file.h"
#include "runtime/api/answer.h"
#include "runtime/cli/profile/synthetic.h"
#include "runtime/cli/release/list.h"
#include "runtime/cli/release/self_test.h"
#include "runtime/engine/model.h"
#include "runtime/engine/session.h"

namespace qama::cli {
namespace {

Result<bool> check_model(const std::string& path, const ReleaseList& list) {
  const std::size_t folder = path.rfind('/') + 1;
  const std::string name = path.substr(folder, path.rfind('.') - folder);
  const auto entry = list.models.find(name);
  if (entry == list.models.end()) return Error{ErrorCode::not_found, "not in the list"};
  QAMA_ASSIGN_OR_RETURN(const auto bytes,
                        platform::read_file(path, std::size_t{1} << 30, ErrorCode::io_error));
  QAMA_ASSIGN_OR_RETURN(const auto model,
                        runtime::Model::from_memory(std::as_bytes(std::span(bytes))));
  const auto inputs = synthetic_samples(model->architecture());
  QAMA_ASSIGN_OR_RETURN(const auto session,
                        runtime::Session::create(model, runtime::SessionOptions{}));
  std::vector<float> logits(static_cast<std::size_t>(model->classes()));
  QAMA_RETURN_IF_ERROR(runtime::run_sample(
      *session, inputs.at(static_cast<std::size_t>(entry->second.input)), logits));
  return model->file().sha256() == entry->second.sha256 &&
         runtime::argmax(logits) == entry->second.answer;
}

bool report(const std::string& what, const Result<bool>& found) {
  const bool ok = found.ok() && *found;
  std::printf("%s %s%s\n", ok ? "ok  " : "FAIL", what.c_str(),
              found.ok() ? "" : (": " + found.error().message).c_str());
  return ok;
}

int run(int count, char** arguments) {
  const Result<ReleaseList> list = parse_release_list(own_release_list(), "of the program");
  if (!list.ok()) return report("list", list.error()) ? 0 : 1;
  bool ok = true;
  for (int k = 1; k < count; ++k) {
    ok &= report(arguments[k], check_model(arguments[k], *list));
  }
  const std::vector<std::string> layers = self_test_layers();
  for (const hal::DeviceListing& kernel : hal::list_devices()) {
    if (!kernel.uri.starts_with("cpu:") || kernel.uri == "cpu:") continue;
    const auto device = hal::open_device(kernel.uri);
    for (std::size_t k = 0; k < layers.size(); ++k) {
      const auto found = [&]() -> Result<bool> {
        if (!device.ok()) return device.error();
        QAMA_ASSIGN_OR_RETURN(const std::string spins, self_test_spins(**device, k));
        return spins == list->spins.at(layers[k]);
      };
      ok &= report(kernel.uri + " " + layers[k], found());
    }
  }
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace qama::cli

int main(int count, char** arguments) {
  return qama::cli::run(count, arguments);
}
