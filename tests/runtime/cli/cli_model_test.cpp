// `qama info`, `qama flash` and `qama verify`: what they say of good files and of bad ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "tests/runtime/cli/cli_files.h"
#include "tests/runtime/cli/process.h"
#include "tests/weights/bad_files.h"
#include "tests/weights/keys.h"

namespace qama::test {
namespace {

using testing::HasSubstr;
using weights::AttentionKind;

TEST(CliInfo, SaysWhatIsInAModel) {
  const TempDir directory;
  const std::string path = put_model(directory, "m", small_vit(AttentionKind::qama));
  const Outcome outcome = run_qama({"info", path, "--json"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  auto info = outcome.json();
  EXPECT_EQ(info["architecture"]["kind"], "simple_vit");
  EXPECT_EQ(info["architecture"]["attention"]["kind"], "qama");
  EXPECT_EQ(info["sha256_ok"], true);
  EXPECT_EQ(info["bytes"], std::filesystem::file_size(path));
  EXPECT_EQ(info["spins"], 4 * 49);
  EXPECT_GT(info["arena_bytes"], 0);
  EXPECT_GT(info["parameters"], 1000);
  std::int64_t elements = 0;
  for (const auto& tensor : info["tensors"]) {
    std::int64_t product = 1;
    for (const auto& size : tensor["shape"]) product *= size.get<std::int64_t>();
    elements += product;
  }
  EXPECT_EQ(info["parameters"], elements);
  const Outcome plain = run_qama({"info", path, "--tensors"});
  EXPECT_THAT(plain.out, HasSubstr("196 a layer (4 heads x 49 tokens), 2 layers"));
  EXPECT_THAT(plain.out, HasSubstr("blocks.1.attn.qkv.weight"));
}

TEST(CliFlash, WritesWhatABoardReads) {
  const TempDir directory;
  const std::string path = put_model(directory, "m", small_vit(AttentionKind::qama));
  const std::string form = directory.file("form");
  const Outcome outcome = run_qama({"flash", path, "--out", form, "--json"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["bytes"], std::filesystem::file_size(form));
  std::string begin(8, ' ');
  std::ifstream(form).read(begin.data(), 8);
  EXPECT_EQ(begin, "qamaflsh");

  const std::string text = put_model(directory, "t", small_text(AttentionKind::softmax));
  const Outcome refused = run_qama({"flash", text, "--out", form});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, HasSubstr("UNSUPPORTED: file '" + text + "': a model of texts"));

  const auto bytes = std::filesystem::file_size(path);
  const Outcome itself = run_qama({"flash", path, "--out", path});
  EXPECT_EQ(itself.status, 2);
  EXPECT_THAT(itself.err, HasSubstr("is an input, too; it is not overwritten"));
  EXPECT_EQ(std::filesystem::file_size(path), bytes);
}

TEST(CliInfo, AnOlderFileIsNotSealedUntilItIs) {
  const TempDir directory;
  write_file(directory.path() / "old", unsealed_model_bytes(tiny_qama_vit()));
  const std::string old = directory.file("old");
  const std::string sealed = directory.file("new");
  auto before = run_qama({"info", old, "--json"}).json();
  EXPECT_EQ(before["sealed"], false);
  EXPECT_FALSE(before.contains("out"));
  EXPECT_THAT(run_qama({"info", old}).out, HasSubstr("not sealed: the checksum covers the data"));
  const Outcome outcome = run_qama({"info", old, "--seal", sealed});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("wrote " + sealed));
  auto after = run_qama({"info", sealed, "--json"}).json();
  EXPECT_EQ(after["sealed"], true);
  EXPECT_THAT(run_qama({"info", sealed}).out, HasSubstr("sealed: the checksum covers the whole"));
  EXPECT_NE(after["sha256"], before["sha256"]);
  for (const char* key : {"architecture", "preprocess", "labels", "producer", "training", "tensors",
                          "parameters", "bytes", "steps"}) {
    EXPECT_EQ(after[key], before[key]) << key;
  }
  // Sealed again it is the same file, and never the input.
  const std::string again = directory.file("again");
  EXPECT_EQ(run_qama({"info", sealed, "--seal", again, "--json"}).json()["out"], again);
  EXPECT_EQ(read_file(again), read_file(sealed));
  const Outcome itself = run_qama({"info", old, "--seal", old});
  EXPECT_EQ(itself.status, 2);
  EXPECT_THAT(itself.err, HasSubstr("is an input, too"));
  EXPECT_EQ(run_qama({"info", old, "--json"}).json()["sealed"], false);
  expect_error(run_qama({"info", sealed, "--seal", directory.file("absent/x")}), "IO_ERROR");
}

TEST(CliSign, WhatIsSignedIsTrustedByEveryCommand) {
  const TempDir directory;
  const std::string model = put_model(directory, "m", small_vit(AttentionKind::qama));
  const std::string golden = put_golden(directory, "g", model, 1);
  put_mnist(directory, 4);
  const auto put = [&](const char* name, const std::string& text, std::filesystem::perms mode) {
    write_file(directory.path() / name, std::as_bytes(std::span(text)));
    std::filesystem::permissions(directory.path() / name, mode);
    return directory.file(name);
  };
  using std::filesystem::perms;
  const std::string secret = put("key.pem", kSecretKey, perms::owner_read | perms::owner_write);
  const std::string open = put("open.pem", kSecretKey, perms::owner_read | perms::others_read);
  const std::string key = put("key.pub", kPublicKey, perms::owner_read | perms::others_read);
  const std::string other = put("other.pub", kOtherPublicKey, perms::owner_read);
  const std::vector<std::vector<std::string>> commands = {
      {"info", model},
      {"verify", "-q", model, golden},
      {"classify", "-q", "-m", model, directory.file("t10k-images-idx3-ubyte.gz:0")},
      {"explain", "-q", "-m", model, directory.file("t10k-images-idx3-ubyte.gz:0")},
      {"profile", "-q", "-m", model, "--runs", "1"},
      {"eval", "-q", "-m", model, "--dataset", "mnist", "--data", directory.path()},
      {"cim-check", "-q", "-m", model, directory.file("t10k-images-idx3-ubyte.gz:0")},
      {"tune", "-q", "-m", model, "--dataset", "mnist", "--data", directory.path(), "--samples",
       "4"}};
  const auto with = [](std::vector<std::string> command, const std::string& trust) {
    command.insert(command.end(), {"--trust", trust});
    return run_qama(command);
  };
  for (const auto& command : commands) expect_error(with(command, key), "MODEL_NOT_TRUSTED");
  expect_error(run_qama({"sign", model, "--key", open}), "IO_ERROR");
  expect_error(run_qama({"sign", model, "--key", other}), "INVALID_ARGUMENT");
  EXPECT_FALSE(std::filesystem::exists(model + ".sig"));
  const Outcome outcome = run_qama({"sign", model, "--key", secret, "--json"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["out"], model + ".sig");
  EXPECT_EQ(std::filesystem::file_size(model + ".sig"), 64U);
  for (const auto& command : commands) {
    const Outcome trusted = with(command, key);
    EXPECT_EQ(trusted.status, 0) << command[0] << ": " << trusted.err;
    expect_error(with(command, other), "MODEL_NOT_TRUSTED");
    expect_error(with(command, directory.file("absent")), "NOT_FOUND");
  }
  write_file(directory.path() / "old", unsealed_model_bytes(tiny_qama_vit()));
  expect_error(run_qama({"sign", directory.file("old"), "--key", secret}),
               "MODEL_UNSUPPORTED_VERSION");
}

TEST(CliInfo, SoftmaxHasNoSpins) {
  const TempDir directory;
  const std::string path = put_model(directory, "m", small_text(AttentionKind::softmax));
  auto info = run_qama({"info", path, "--json"}).json();
  EXPECT_EQ(info["spins"], 0);
  EXPECT_EQ(info["architecture"]["kind"], "text_transformer");
}

TEST(CliInfo, EveryBadModelIsRefusedByItsRule) {
  const TempDir directory;
  int refused = 0;
  for (const NamedFile& file : bad_model_files()) {
    SCOPED_TRACE(file.name);
    write_file(directory.path() / file.name, file.bytes);
    expect_error(run_qama({"info", directory.file(file.name)}),
                 std::string(error_name(file.expected)));
    ++refused;
  }
  EXPECT_GT(refused, 20);
  expect_error(run_qama({"info", directory.file("absent")}), "NOT_FOUND");
}

TEST(CliVerify, AgreesWithItself) {
  const TempDir directory;
  for (const AttentionKind kind : {AttentionKind::qama, AttentionKind::softmax}) {
    const std::string model = put_model(directory, "m", small_vit(kind));
    const std::string golden = put_golden(directory, "g", model, 3);
    const Outcome outcome = run_qama({"verify", "-q", "--json", model, golden});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    auto result = outcome.json();
    EXPECT_EQ(result["ok"], true);
    EXPECT_EQ(result["n"], 3);
    EXPECT_EQ(result["argmax_agreement"], 1.0);
    EXPECT_LE(result["logits_max_abs"], 1e-6);
    EXPECT_EQ(result.contains("own_spins"), kind == AttentionKind::qama);
    std::vector<std::string> names;
    for (const auto& tensor : result["tensors"]) {
      names.push_back(tensor["name"]);
      EXPECT_LE(tensor["nmse"], 1e-9) << tensor;
      EXPECT_GT(tensor["elements"], 0) << tensor;
    }
    EXPECT_THAT(names, testing::IsSupersetOf({"embed", "block.1.out", "norm", "pooled", "logits"}));
    if (kind == AttentionKind::qama) {
      EXPECT_THAT(names, testing::IsSupersetOf({"block.0.spins", "block.1.energies"}));
      EXPECT_EQ(result["own_spins"]["argmax_agreement"], 1.0);  // same seed, same spins
    }
  }
}

TEST(CliVerify, ADifferenceAnywhereIsFound) {
  const TempDir directory;
  const std::string model = put_model(directory, "m", small_vit(AttentionKind::qama));
  for (const char* tensor : {"embed", "block.0.attn_norm", "block.1.energies", "block.1.attn_out",
                             "block.0.out", "norm", "pooled", "logits"}) {
    SCOPED_TRACE(tensor);
    const std::string golden = put_golden(directory, "g", model, 2, tensor);
    const Outcome outcome = run_qama({"verify", "-q", "--json", model, golden});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.json()["ok"], false);
    EXPECT_THAT(outcome.err, testing::StartsWith("qama: error: GOLDEN_MISMATCH: "));
    EXPECT_THAT(outcome.err, HasSubstr(tensor));
    EXPECT_EQ(run_qama({"verify", "-q", model, golden}).status, 1);
  }
}

TEST(CliVerify, FilesThatDoNotBelongTogether) {
  const TempDir directory;
  const std::string qama = put_model(directory, "qama", small_vit(AttentionKind::qama));
  const std::string softmax = put_model(directory, "softmax", small_vit(AttentionKind::softmax));
  const std::string golden = put_golden(directory, "g", softmax, 1);
  expect_error(run_qama({"verify", "-q", qama, golden}), "GOLDEN_WRONG_MODEL");
  expect_error(run_qama({"verify", "-q", golden, golden}), "MODEL_WRONG_KIND");
  expect_error(run_qama({"verify", "-q", qama, softmax}), "MODEL_WRONG_KIND");
  expect_error(run_qama({"verify", "-q", qama, directory.file("absent")}), "NOT_FOUND");
}

}  // namespace
}  // namespace qama::test
