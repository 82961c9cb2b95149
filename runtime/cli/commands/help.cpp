// `qama help [COMMAND]`: what COMMAND --help prints.
#include "runtime/cli/command.h"
#include "runtime/cli/manual/help_text.h"

namespace qama::cli {
namespace {

class Help final : public Command {
 public:
  CommandText text() const override {
    return {.summary = "Explain a command, or list all of them.",
            .examples =
                "qama help\n"
                "qama help classify\n",
            .reports = false};
  }

  void declare(CLI::App& app) override {
    app_ = &app;
    app.add_option("COMMAND", command_, "The command to explain. Without it, all are listed.")
        ->check(CLI::IsMember(command_names()))
        ->type_name("");
  }

  Status run(Console& console) override {
    const CLI::App& program = *app_->get_parent();
    console.text(help_text(command_.empty() ? program : *program.get_subcommand(command_)));
    return {};
  }

 private:
  CLI::App* app_ = nullptr;
  std::string command_;
};

}  // namespace

std::unique_ptr<Command> make_help() {
  return std::make_unique<Help>();
}

}  // namespace qama::cli
