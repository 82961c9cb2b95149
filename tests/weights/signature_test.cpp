// Signatures: what OpenSSL signs is what is made here; every other key, file and bit is refused.
#include "weights/signature.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "tests/test_support.h"
#include "tests/weights/bad_files.h"
#include "tests/weights/keys.h"
#include "weights/model_file.h"

namespace qama::weights {
namespace {

class Signatures : public testing::Test {
 protected:
  void SetUp() override {
    put("key.pem", test::kSecretKey, 0600);
    put("key.pub", test::kPublicKey, 0644);
    put("other.pub", test::kOtherPublicKey, 0644);
    test::write_file(model_, test::model_bytes(test::tiny_qama_vit()));
    const auto model = ModelFile::open(model_);
    ASSERT_OK(model);
    seal_ = (*model)->sha256();
  }
  std::string put(const char* name, std::string_view text, mode_t mode) {
    const std::string path = directory_.file(name);
    test::write_file(path, std::as_bytes(std::span(text)));
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  void sign(const std::string& seal) {
    const auto signature = sign_seal(directory_.file("key.pem"), seal);
    ASSERT_OK(signature);
    put_signature(*signature);
  }
  void put_signature(std::span<const unsigned char> bytes) {
    test::write_file(signature_path(model_), std::as_bytes(bytes));
  }
  auto open(const char* key) {
    ModelOptions options;
    options.trust = directory_.file(key);
    return ModelFile::open(model_, options);
  }

  test::TempDir directory_;
  std::string model_ = directory_.file("m.safetensors");
  std::string seal_;
};

TEST_F(Signatures, AreThoseOfOpenssl) {
  // openssl pkeyutl -sign -rawin -inkey key.pem -in TEXT, TEXT being signed_text() of 64 zeros.
  const std::string zeros(64, '0');
  EXPECT_EQ(signed_text(zeros), "qama model sha256 " + zeros + "\n");
  ASSERT_OK_AND_ASSIGN(const Signature signature, sign_seal(directory_.file("key.pem"), zeros));
  std::string hex;
  for (const unsigned char byte : signature) {
    hex += "0123456789abcdef"[byte >> 4U];
    hex += "0123456789abcdef"[byte & 15U];
  }
  EXPECT_EQ(hex,
            "32a104c242c248abd62151732c9f73d56206511565e490b639011d41f6bfca58"
            "90fb101126a93a19df97e7c10f3f4c9ad2386ee0bb38802e16f63cd333f07009");
}

TEST_F(Signatures, TheSignersModelOpens) {
  sign(seal_);
  EXPECT_OK(open("key.pub"));
  EXPECT_OK(ModelFile::open(model_));
}

TEST_F(Signatures, WithoutASignatureOrWithAnotherOneNothingOpens) {
  EXPECT_ERROR(model_not_trusted, open("key.pub"));  // missing
  put_signature({});
  EXPECT_ERROR(model_not_trusted, open("key.pub"));
  sign(seal_);
  EXPECT_ERROR(model_not_trusted, open("other.pub"));
  sign(std::string(64, '0'));  // another file's
  EXPECT_ERROR(model_not_trusted, open("key.pub"));
  ASSERT_OK_AND_ASSIGN(const Signature signature, sign_seal(directory_.file("key.pem"), seal_));
  put_signature(std::span(signature).first(63));
  EXPECT_ERROR(model_not_trusted, open("key.pub"));
  std::vector<unsigned char> longer(signature.begin(), signature.end());
  longer.push_back(0);
  put_signature(longer);
  EXPECT_ERROR(model_not_trusted, open("key.pub"));
  std::filesystem::remove(signature_path(model_));
  std::filesystem::create_directory(signature_path(model_));
  EXPECT_ERROR(model_not_trusted, open("key.pub"));
}

TEST_F(Signatures, EveryBitCounts) {
  ASSERT_OK_AND_ASSIGN(const PublicKey key, read_public_key(directory_.file("key.pub")));
  ASSERT_OK_AND_ASSIGN(const Signature good, sign_seal(directory_.file("key.pem"), seal_));
  put_signature(good);
  EXPECT_OK(check_signature(key, model_, seal_));
  for (std::size_t bit = 0; bit < 8 * kSignatureBytes; ++bit) {
    Signature bad = good;
    bad[bit / 8] = static_cast<unsigned char>(bad[bit / 8] ^ (1U << (bit % 8)));
    put_signature(bad);
    EXPECT_ERROR(model_not_trusted, check_signature(key, model_, seal_));
  }
}

TEST_F(Signatures, AModelThatChangedIsNotSigned) {
  sign(seal_);
  Architecture other = test::tiny_qama_vit();
  other.attention.rho0 += 0.01;
  test::write_file(model_, test::model_bytes(other));
  EXPECT_OK(ModelFile::open(model_));  // sealed anew: a whole file
  EXPECT_ERROR(model_not_trusted, open("key.pub"));
}

TEST_F(Signatures, AnUnsealedModelIsNeverTrusted) {
  test::write_file(model_, test::unsealed_model_bytes(test::tiny_qama_vit()));
  ASSERT_OK_AND_ASSIGN(const auto model, ModelFile::open(model_));
  sign(model->sha256());
  EXPECT_ERROR(model_not_trusted, open("key.pub"));
}

TEST_F(Signatures, KeyFiles) {
  sign(seal_);
  EXPECT_ERROR(not_found, open("absent"));
  EXPECT_ERROR(invalid_argument, open("key.pem"));  // the secret one
  const std::string good = test::kPublicKey;
  const auto replaced = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  const std::string bad[] = {"",
                             "x",
                             good + good,
                             good.substr(0, good.size() / 2),
                             replaced("PUBLIC", "RSA PUBLIC"),
                             replaced("MCow", "MCox"),
                             replaced("AyE", "AyEAAAA"),
                             replaced("=", ""),
                             replaced("=", "=="),
                             replaced("MCow", "MC!w"),
                             std::string(10000, 'A')};
  for (const std::string& text : bad) {
    put("bad.pub", text, 0644);
    SCOPED_TRACE(text);
    EXPECT_ERROR(invalid_argument, open("bad.pub"));
  }
  put("spaced.pub", "\r\n" + good + "\r\n \n", 0644);
  EXPECT_OK(open("spaced.pub"));
  ModelOptions empty;
  empty.trust = "";
  EXPECT_ERROR(not_found, ModelFile::open(model_, empty));
}

TEST_F(Signatures, ASecretKeyIsItsOwnersAlone) {
  for (const mode_t mode : {0640U, 0604U, 0620U, 0602U, 0660U, 0644U, 0666U, 0610U}) {
    put("key.pem", test::kSecretKey, mode);
    SCOPED_TRACE(mode);
    EXPECT_ERROR(io_error, sign_seal(directory_.file("key.pem"), seal_));
  }
  for (const mode_t mode : {0600U, 0400U, 0700U}) {
    put("key.pem", test::kSecretKey, mode);
    EXPECT_OK(sign_seal(directory_.file("key.pem"), seal_));
    EXPECT_EQ(::chmod(directory_.file("key.pem").c_str(), 0600), 0);
  }
  EXPECT_ERROR(not_found, sign_seal(directory_.file("absent"), seal_));
  put("key.pem", test::kPublicKey, 0600);
  EXPECT_ERROR(invalid_argument, sign_seal(directory_.file("key.pem"), seal_));
}

}  // namespace
}  // namespace qama::weights
