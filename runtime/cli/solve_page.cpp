// The page of `qama solve --html`: the best value over time, the reads by value, the best answers.
#include "runtime/cli/html/page.h"
#include "runtime/cli/solve_record.h"

namespace qama::cli {
namespace {

/// Answers in the table, and spins of one that are shown.
constexpr std::size_t kMostRows = 50;
constexpr std::size_t kMostSpins = 64;

}  // namespace

Status write_solve_html(const std::string& path, const std::string& problem,
                        const hal::ProblemFile& file, const hal::BestAnswer& answer,
                        const SolveRecord& record,
                        const std::vector<std::vector<std::string>>& facts) {
  const std::string name = value_name(file);
  HtmlPage page("Answers to " + problem, std::string(hal::name_of(file.kind)) + " of " +
                                             std::to_string(file.shape().spins()) + " spins, " +
                                             name + " " + value_text(answer.value) +
                                             (answer.optimal ? ", optimal" : ""));
  page.heading("Best " + name + " over time");
  page.markup(step_chart("Best " + name + " over time", record.improvements(),
                         answer.solve_us / 1000, "ms"));
  page.heading("Reads by " + name);
  const auto reads = static_cast<std::size_t>(record.kept().reads());
  page.text(std::to_string(reads) + (reads == 1 ? " read." : " reads.") +
            (reads > record.values().size()
                 ? " The first " + std::to_string(record.values().size()) + " are shown."
                 : ""));
  page.markup(histogram(record.values(), name));
  std::vector<std::vector<std::string>> rows;
  for (const SolveRecord::Bin& bin : record.histogram()) {
    rows.push_back({bin.from == bin.to ? value_text(bin.from)
                                       : value_text(bin.from) + " to " + value_text(bin.to),
                    std::to_string(bin.count)});
  }
  page.table({name, "reads"}, rows);
  const std::vector<hal::AnswerSet::Answer> answers = record.kept().answers();
  if (!answers.empty()) {
    page.heading("Best different answers");
    rows.clear();
    for (std::size_t k = 0; k < std::min(answers.size(), kMostRows); ++k) {
      std::string spins = spins_text(file.shape(), answers[k].spins);
      if (spins.size() > kMostSpins) spins = spins.substr(0, kMostSpins) + "...";
      rows.push_back({std::to_string(k + 1), value_text(answers[k].value),
                      std::to_string(answers[k].count), spins});
    }
    page.table({"rank", name, "reads", "spins"}, rows);
  }
  page.heading("How it was solved");
  page.table({"what", "value"}, facts);
  return page.write(path);
}

}  // namespace qama::cli
