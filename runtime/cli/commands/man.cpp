// `qama man`: manual pages from the same tables as the help. The build installs them.
#include "runtime/cli/command.h"
#include "runtime/cli/files.h"
#include "runtime/cli/manual/man_page.h"

namespace qama::cli {
namespace {

class Man final : public Command {
 public:
  CommandText text() const override {
    return {.summary = "Print a manual page, or write all of them.",
            .examples =
                "qama man classify | man -l -\n"
                "qama man --all share/man/man1\n",
            .reports = false};
  }

  void declare(CLI::App& app) override {
    app_ = &app;
    auto* command =
        app.add_option("COMMAND", command_, "The command. Without it, the program's own page.")
            ->check(CLI::IsMember(command_names()))
            ->type_name("");
    app.add_option("--all", directory_, "Write every page into DIR, which must exist.")
        ->type_name("DIR")
        ->excludes(command);
  }

  Status run(Console& console) override {
    const CLI::App& program = *app_->get_parent();
    if (directory_.empty()) {
      console.text(man_page(command_.empty() ? program : *program.get_subcommand(command_)));
      return {};
    }
    QAMA_RETURN_IF_ERROR(write(program));
    for (const CLI::App* command : program.get_subcommands({})) {
      QAMA_RETURN_IF_ERROR(write(*command));
    }
    return {};
  }

 private:
  [[nodiscard]] Status write(const CLI::App& app) const {
    return write_file(directory_ + "/" + man_page_name(app), man_page(app));
  }

  CLI::App* app_ = nullptr;
  std::string command_, directory_;
};

}  // namespace

std::unique_ptr<Command> make_man() {
  return std::make_unique<Man>();
}

}  // namespace qama::cli
