// Where the tests find the source tree and the shared data. Apart, so that no other file's
// compilation depends on where the tree lies.
#include "tests/test_support.h"

namespace qama::test {

const char* source_dir() {
  return QAMA_SOURCE_DIR;
}
const char* configured_shared_dir() {
  return QAMA_SHARED_DIR;
}

}  // namespace qama::test
