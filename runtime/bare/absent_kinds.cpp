// Kinds of attention that a program for boards leaves out: what is linked beside this file takes
// the place of a function here.
#include "runtime/engine/attention/attention.h"

namespace qama::runtime {

#define QAMA_ATTENTION_KIND(kind)                                                              \
  [[gnu::weak]] Status add_##kind(Builder& /*b*/, const AttentionLayer& /*layer*/) {           \
    return Error{ErrorCode::unsupported, "this program has no attention of kind '" #kind "'"}; \
  }
#include "weights/attention/kinds.inc"
#undef QAMA_ATTENTION_KIND

}  // namespace qama::runtime
