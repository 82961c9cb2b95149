// How a profile is written. An output is a file <output>.cpp and a function here. Three kinds of
// time never share a column: measured (a clock of this machine), modelled (an emulator's device
// time) and computed (bytes over a rate).
#pragma once

#include <string>

#include "runtime/cli/console.h"
#include "runtime/cli/profile/profile.h"

namespace qama::cli {

/// The object of `--json`: the first device's fields, and `devices` with everybody's.
[[nodiscard]] Json profile_json(const Profile& profile);
/// The tables of the terminal.
void print_profile(const Profile& profile, Console& console);
/// IO_ERROR.
Status write_profile_csv(const Profile& profile, const std::string& path);
Status write_profile_trace(const Profile& profile, const std::string& path);
Status write_profile_html(const Profile& profile, const std::string& path);

}  // namespace qama::cli
