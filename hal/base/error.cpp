#include "hal/base/error.h"

namespace qama {

std::string_view error_name(ErrorCode code) noexcept {
  switch (code) {
#define QAMA_X(identifier, number, name) \
  case ErrorCode::identifier:            \
    return name;
    QAMA_ERROR_CODES(QAMA_X)
#undef QAMA_X
  }
  return "UNKNOWN";
}

}  // namespace qama
