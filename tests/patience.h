// How much longer things may take in a build with a sanitizer than in a release build.
#pragma once

namespace qama::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int kPatience = 10;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer) || __has_feature(undefined_behavior_sanitizer)
inline constexpr int kPatience = 10;
#else
inline constexpr int kPatience = 1;
#endif
#else
inline constexpr int kPatience = 1;
#endif

}  // namespace qama::test
