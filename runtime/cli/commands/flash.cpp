// `qama flash`: the flash form of a model, which boards without an operating system read in place.
#include "runtime/bare/flash_form.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/files.h"
#include "runtime/cli/report.h"

namespace qama::cli {
namespace {

class Flash final : public Command {
 public:
  CommandText text() const override {
    return {.summary = "Write a model as a board without an operating system reads it from flash.",
            .notes =
                "The program for boards is in runtime/bare; its README says where the file "
                "goes. Models of texts have no such form, nor have schedules with rounds after 8\n"
                "restarts or more, and heads so long that they are solved on factors.\n",
            .examples = "qama flash MODEL -o model.bin\n"};
  }

  void declare(CLI::App& app) override {
    app.add_option("MODEL", path_, "The model file.")->required()->type_name("");
    declare_output(app, "-o,--out", out_, "The file to write.")->required();
    declare_trust(app, model_options_);
  }

  Status run(Console& console) override {
    QAMA_ASSIGN_OR_RETURN(const auto model, runtime::Model::open(path_, model_options_));
    auto bytes = bare::flash_form(*model);
    if (!bytes.ok()) return weights::in_file(path_, bytes.error());
    QAMA_RETURN_IF_ERROR(write_file(out_, *bytes));
    if (console.json) {
      Json object;
      object["model"] = path_;
      object["out"] = out_;
      object["bytes"] = bytes->size();
      console.object(object);
    } else {
      console.line("wrote " + out_ + ", " + std::to_string(bytes->size()) + " bytes");
    }
    return {};
  }

 private:
  std::string path_, out_;
  weights::ModelOptions model_options_;
};

}  // namespace

std::unique_ptr<Command> make_flash() {
  return std::make_unique<Flash>();
}

}  // namespace qama::cli
