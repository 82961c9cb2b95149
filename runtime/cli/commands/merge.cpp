// `qama merge`: the report of a run whose shards ran each in a process of its own.
#include "hal/platform/file.h"
#include "runtime/cli/command.h"
#include "runtime/cli/eval_report.h"

namespace qama::cli {
namespace {

class Merge final : public Command {
 public:
  CommandText text() const override {
    return {
        .summary = "Put the reports of all shards of `qama eval --shard` together.",
        .notes =
            "The result is the report of one process, number for number. Times alone differ: the "
            "latency is that\n"
            "of all samples wherever they ran, seconds are the sum over the shards, threads those "
            "of the shard with\n"
            "the most. Shards that ran on several devices are merged, and all are named.\n"
            "\n"
            "Shards of another model, data set, seed, schedule, number of samples or version are "
            "refused, and so\n"
            "are shards that are missing, were stopped, or are there twice.\n",
        .examples =
            "qama merge shard-*.json\n"
            "sbatch --array=0-7 --output=shard-%a.json --error=shard-%a.err --wrap 'qama eval -q "
            "--json -m MODEL --dataset mnist --data DIR --shard $SLURM_ARRAY_TASK_ID/8'\n"};
  }

  void declare(CLI::App& app) override {
    app.add_option("FILE", paths_, "What `qama eval --shard I/N --json` printed, a shard a file.")
        ->required()
        ->type_name("");
  }

  Status run(Console& console) override {
    std::vector<std::pair<std::string, EvalReport>> shards;
    for (const std::string& path : paths_) {
      QAMA_ASSIGN_OR_RETURN(const auto bytes, platform::read_file(path, kMaxReportBytes,
                                                                  ErrorCode::report_bad_format));
      const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      QAMA_ASSIGN_OR_RETURN(EvalReport report, parse_eval_report(text, path));
      shards.emplace_back(path, std::move(report));
    }
    QAMA_ASSIGN_OR_RETURN(const EvalReport whole, merge(shards));
    whole.print(console);
    return {};
  }

 private:
  std::vector<std::string> paths_;
};

}  // namespace

std::unique_ptr<Command> make_merge() {
  return std::make_unique<Merge>();
}

}  // namespace qama::cli
