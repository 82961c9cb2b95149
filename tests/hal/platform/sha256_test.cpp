// SHA-256: the system's library and the own one, against FIPS 180-4's examples and each other.
#include "hal/platform/sha256.h"

#include <gtest/gtest.h>

#include <vector>

#include "hal/base/hexadecimal.h"
#include "hal/platform/sha256_own.h"

namespace qama::platform {
namespace {

std::string own(std::string_view text, std::size_t cut = 0) {
  OwnSha256 hash;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  hash.add({bytes, cut});
  hash.add({bytes + cut, text.size() - cut});
  std::array<std::uint8_t, 32> out{};
  hash.end(out.data());
  return hexadecimal(out);
}

TEST(Sha256, KnownDigests) {
  const std::pair<std::string, const char*> known[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1000000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};
  for (const auto& [text, digest] : known) {
    EXPECT_EQ(sha256_hex(text), digest);
    EXPECT_EQ(own(text), digest);
  }
}

TEST(Sha256, TheOwnOneIsTheLibrarysForEveryLengthAndCut) {
  std::string text;
  for (int length = 0; length < 200; ++length) {
    const std::string expected = sha256_hex(text);
    EXPECT_EQ(own(text, text.size() / 3), expected) << length;
    text.push_back(static_cast<char>(length * 37));
  }
}

}  // namespace
}  // namespace qama::platform
