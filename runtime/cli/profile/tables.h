// The tables of a profile, for the terminal and for the page: the same figures in both. A table is
// a function in tables.cpp.
#pragma once

#include <string>
#include <vector>

#include "runtime/cli/profile/profile.h"

namespace qama::cli {

struct Table {
  std::string title, note;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
};

[[nodiscard]] std::vector<Table> tables_of(const Profile& profile);

}  // namespace qama::cli
