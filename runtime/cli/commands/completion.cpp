// `qama completion SHELL`: a script that completes commands, options and values.
#include "runtime/cli/manual/completion.h"

#include "runtime/cli/command.h"

namespace qama::cli {
namespace {

class Completion final : public Command {
 public:
  CommandText text() const override {
    return {.summary = "Print a completion script for a shell.",
            .notes =
                "The Debian package installs the scripts. To use one without it:\n"
                "  bash  source <(qama completion bash)\n"
                "  zsh   source <(qama completion zsh), after compinit\n"
                "  fish  qama completion fish | source\n",
            .examples = "qama completion bash > ~/.local/share/bash-completion/completions/qama\n",
            .reports = false};
  }

  void declare(CLI::App& app) override {
    app_ = &app;
    app.add_option("SHELL", shell_, "The shell that is to read the script.")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}))
        ->type_name("");
  }

  Status run(Console& console) override {
    const CLI::App& program = *app_->get_parent();
    console.text(shell_ == "bash"  ? bash_completion(program)
                 : shell_ == "zsh" ? zsh_completion(program)
                                   : fish_completion(program));
    return {};
  }

 private:
  const CLI::App* app_ = nullptr;
  std::string shell_;
};

}  // namespace

std::unique_ptr<Command> make_completion() {
  return std::make_unique<Completion>();
}

}  // namespace qama::cli
