#include "runtime/cli/picture_arguments.h"

#include <iterator>
#include <utility>
#include <vector>

namespace qama::cli {
namespace {

constexpr std::pair<std::string_view, io::Invert> kInverts[] = {
    {"auto", io::Invert::automatic}, {"yes", io::Invert::yes}, {"no", io::Invert::no}};

template <typename Enum, std::size_t n>
std::vector<std::string> spellings(const std::pair<std::string_view, Enum> (&table)[n]) {
  std::vector<std::string> out;
  for (const auto& [word, value] : table) out.emplace_back(word);
  return out;
}

template <typename Enum, std::size_t n>
std::optional<Enum> value_of(const std::pair<std::string_view, Enum> (&table)[n],
                             std::string_view wanted) {
  for (const auto& [word, value] : table) {
    if (word == wanted) return value;
  }
  return std::nullopt;
}

}  // namespace

void PictureArguments::declare(CLI::App& app) {
  app.add_option("--fit", fit,
                 "Bring a picture of another size to the model's: stretch it, crop its middle, pad "
                 "it with bars, or content: find the thing on its background and place it as the "
                 "training set does.")
      ->type_name("HOW")
      ->check(CLI::IsMember(spellings(weights::kFits)))
      ->default_str("the model's");
  app.add_option("--invert", invert,
                 "Exchange dark and light: yes, no, or auto, if the picture's background is light "
                 "and the training set's is dark, or the other way round. The images of a data set "
                 "are taken as they are, unless this is given.")
      ->type_name("WHEN")
      ->check(CLI::IsMember(spellings(kInverts)))
      ->default_str("auto");
}

runtime::PictureOptions PictureArguments::options() const {
  return {value_of(weights::kFits, fit), value_of(kInverts, invert)};
}

}  // namespace qama::cli
