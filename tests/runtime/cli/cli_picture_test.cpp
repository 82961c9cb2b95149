// From a picture to the model's pixels: the program, the C API and the pages show a model the same,
// and what a model cannot see is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <qama/qama.h>

#include <random>

#include "runtime/io/picture.h"
#include "tests/runtime/cli/cli_files.h"
#include "tests/runtime/cli/process.h"
#include "weights/model_file.h"
#include "weights/model_writer.h"

namespace qama::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using weights::AttentionKind;

/// An untrained model whose file says how MNIST's pictures were made.
std::string put_digits(const TempDir& directory) {
  const weights::Architecture a = small_vit(AttentionKind::qama);
  auto bytes = weights::random_model(a, 3)->serialise();
  const auto file = *weights::ModelFile::from_memory(*bytes);
  weights::Preprocess preprocess = file->preprocess();
  preprocess.fit = weights::Fit::content;
  preprocess.background = weights::Background::dark;
  preprocess.margin = 4;
  preprocess.centre = weights::Centre::mass;
  auto writer = weights::model_writer(a, preprocess, file->labels(), "test");
  for (const weights::TensorSpec& spec : weights::expected_tensors(a)) {
    EXPECT_OK(writer->add_f32(spec.name, spec.shape, *file->f32(spec.name)));
  }
  std::string path = directory.file("digits.safetensors");
  EXPECT_OK(writer->write(path));
  return path;
}

/// Blobs on a background, in any size, channels and polarity; some blank, some noisy.
io::Image mixed_picture(std::mt19937& random) {
  const auto below = [&random](unsigned limit) { return static_cast<int>(random() % limit); };
  io::Image out;
  const bool fits = below(4) == 0;
  out.width = fits ? 28 : 1 + below(90);
  out.height = fits ? 28 : 1 + below(90);
  out.channels = 1 + below(4);
  const int behind = below(256), noise = 1 + below(below(2) == 0 ? 1 : 20);
  for (int i = 0; i < out.width * out.height; ++i) {
    for (int c = 0; c < out.channels; ++c) {
      out.pixels.push_back(static_cast<std::uint8_t>(std::min(255, behind + below(noise))));
    }
    if (out.channels % 2 == 0) out.pixels.back() = below(3) == 0 ? 0 : 255;
  }
  for (int blobs = below(4); blobs > 0; --blobs) {
    const int x0 = below(out.width), y0 = below(out.height), side = 1 + below(30);
    const auto level = static_cast<std::uint8_t>(below(256));
    for (int y = y0; y < std::min(out.height, y0 + side); ++y) {
      for (int x = x0; x < std::min(out.width, x0 + side); ++x) {
        for (int c = 0; c < out.channels; ++c) {
          out.pixels[static_cast<std::size_t>((y * out.width + x) * out.channels + c)] =
              out.channels % 2 == 0 && c == out.channels - 1 ? 255 : level;
        }
      }
    }
  }
  return out;
}

Bytes pgm_file(int width, int height, const Bytes& pixels) {
  const std::string header =
      "P5 " + std::to_string(width) + " " + std::to_string(height) + " 255\n";
  Bytes out(header.begin(), header.end());
  out.insert(out.end(), pixels.begin(), pixels.end());
  return out;
}

struct Session {
  explicit Session(const std::string& path) {
    EXPECT_EQ(qama_model_open(path.c_str(), &model), 0) << qama_last_error();
    EXPECT_EQ(qama_session_create(model, nullptr, &session), 0) << qama_last_error();
  }
  ~Session() {
    qama_session_destroy(session);
    qama_model_close(model);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Bytes seen() const {
    const std::uint8_t* pixels = qama_session_pixels(session, 0);
    return pixels == nullptr ? Bytes() : Bytes(pixels, pixels + 784);
  }
  qama_model* model = nullptr;
  qama_session* session = nullptr;
};

qama_answer new_answer() {
  qama_answer out{};
  out.struct_size = sizeof out;
  return out;
}

Bytes bytes_of(const std::string& path) {
  Bytes out;
  for (const std::byte byte : read_file(path)) out.push_back(static_cast<std::uint8_t>(byte));
  return out;
}

std::string text_of(const std::string& path) {
  const Bytes bytes = bytes_of(path);
  return {bytes.begin(), bytes.end()};
}

TEST(CliPicture, LibraryProgramAndPageSeeTheSamePixels) {
  const TempDir directory;
  const std::string model = put_digits(directory);
  const Session api(model);
  std::mt19937 random(1);
  std::vector<std::string> arguments = {"classify", "-q", "--json", "-m", model, "--top", "10"};
  std::vector<Bytes> seen;
  std::vector<qama_answer> answers;
  for (int i = 0; i < 1000; ++i) {
    const io::Image image = mixed_picture(random);
    const Bytes png = png_file(image.width, image.height, image.channels, image.pixels);
    arguments.push_back(directory.file(std::to_string(i) + ".png"));
    put_file(arguments.back(), png);
    qama_answer answer = new_answer();
    ASSERT_EQ(qama_session_answer_encoded(api.session, png.data(), png.size(), &answer), 0)
        << qama_last_error();
    seen.push_back(api.seen());
    answers.push_back(answer);
    const qama_image view{sizeof view,    image.width, image.height,
                          image.channels, 0,           image.pixels.data()};
    ASSERT_EQ(qama_session_answer_images(api.session, &view, 1, &answer), 0);
    EXPECT_EQ(api.seen(), seen.back()) << i;
  }
  const auto lines = run_qama(arguments).json_lines();
  ASSERT_EQ(lines.size(), 1000U);
  int blank = 0, inverted = 0;
  for (std::size_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(lines[i]["blank"], answers[i].blank != 0) << i;
    EXPECT_EQ(lines[i]["inverted"], answers[i].inverted != 0) << i;
    EXPECT_EQ(lines[i].contains("notes"), answers[i].blank != 0) << i;
    blank += answers[i].blank;
    inverted += answers[i].inverted;
  }
  EXPECT_GT(blank, 20);  // the pictures are mixed
  EXPECT_LT(blank, 500);
  EXPECT_GT(inverted, 200);

  // What the library saw, as pictures of the model's size under the same names: the same answers.
  for (std::size_t i = 0; i < 1000; ++i) {
    put_file(directory.file(std::to_string(i) + ".png"), pgm_file(28, 28, seen[i]));
  }
  arguments.insert(arguments.end(), {"--invert", "no"});
  const auto again = run_qama(arguments).json_lines();
  ASSERT_EQ(again.size(), 1000U);
  for (std::size_t i = 0; i < 1000; ++i) EXPECT_EQ(again[i]["top"], lines[i]["top"]) << i;
}

TEST(CliPicture, ShowAndThePageHaveWhatTheLibrarySaw) {
  const TempDir directory;
  const std::string model = put_digits(directory);
  const Session api(model);
  std::mt19937 random(2);
  const std::string picture = directory.file("a.png"), shown = directory.file("shown.png");
  const std::string page = directory.file("page.html");
  for (int i = 0; i < 12; ++i) {
    SCOPED_TRACE(i);
    const io::Image image = mixed_picture(random);
    const Bytes png = png_file(image.width, image.height, image.channels, image.pixels);
    qama_answer answer = new_answer();
    ASSERT_EQ(qama_session_answer_encoded(api.session, png.data(), png.size(), &answer), 0);
    const Bytes seen = api.seen();

    put_file(picture, png);
    EXPECT_EQ(run_qama({"classify", "-q", "-m", model, picture, "--show", shown}).status, 0);
    ASSERT_OK_AND_ASSIGN(const io::Image large, io::decode_image(bytes_of(shown), shown));
    ASSERT_EQ(large.width, 448);
    ASSERT_EQ(large.height, 448);
    for (std::size_t y = 0; y < 448; ++y) {
      for (std::size_t x = 0; x < 448; ++x) {
        ASSERT_EQ(large.pixels[y * 448 + x], seen[y / 16 * 28 + x / 16]);
      }
    }
    EXPECT_EQ(run_qama({"explain", "-q", "-m", model, picture, "--html", page}).status, 0);
    const std::string first = text_of(page);
    put_file(picture, pgm_file(28, 28, seen));
    EXPECT_EQ(
        run_qama({"explain", "-q", "-m", model, picture, "--html", page, "--invert", "no"}).status,
        0);
    EXPECT_EQ(text_of(page), first);
  }
}

TEST(CliPicture, OptionsReachEveryCommand) {
  const TempDir directory;
  const std::string model = put_digits(directory);
  const Session api(model);
  io::Image image{56, 30, 1, Bytes(56 * 30, 240)};
  for (std::size_t y = 5; y < 25; ++y) {
    for (std::size_t x = 40; x < 44; ++x) image.pixels[y * 56 + x] = 10;
  }
  const std::string picture = directory.file("a.png");
  put_file(picture, png_file(56, 30, 1, image.pixels));
  const char* const fits[] = {"stretch", "crop", "pad", "content"};
  const char* const inverts[] = {"auto", "no", "yes"};
  for (std::int32_t fit = 1; fit <= 4; ++fit) {
    for (std::int32_t invert = 1; invert <= 3; ++invert) {
      SCOPED_TRACE(std::string(fits[fit - 1]) + " " + inverts[invert - 1]);
      const qama_picture_options options{sizeof options, fit, invert, 0};
      ASSERT_EQ(qama_session_set_pictures(api.session, &options), 0) << qama_last_error();
      qama_answer answer = new_answer();
      ASSERT_EQ(qama_session_answer_file(api.session, picture.c_str(), &answer), 0);
      const std::vector<std::string> chosen = {"-q",          "--json",   "-m",
                                               model,         picture,    "--fit",
                                               fits[fit - 1], "--invert", inverts[invert - 1]};
      std::vector<std::string> arguments = {"classify"};
      arguments.insert(arguments.end(), chosen.begin(), chosen.end());
      const auto line = run_qama(arguments).json();
      EXPECT_EQ(line["probability"], answer.probability);
      EXPECT_EQ(line["inverted"], answer.inverted != 0);
      arguments[0] = "explain";
      EXPECT_EQ(run_qama(arguments).json()["probability"], answer.probability);
    }
  }
  EXPECT_EQ(run_qama({"profile", "-q", "-m", model, picture, "--fit", "pad", "--invert", "yes",
                      "--runs", "1", "--warm-up", "0"})
                .status,
            0);
  const qama_picture_options wrong{sizeof wrong, 5, 0, 0};
  EXPECT_NE(qama_session_set_pictures(api.session, &wrong), 0);
  EXPECT_THAT(qama_last_error(), HasSubstr("expected 0 to 4"));
}

TEST(CliPicture, DataSetsAreTakenAsTheyAre) {
  const TempDir directory;
  const std::string model = put_digits(directory);
  Bytes pixels = put_mnist(directory, 3);
  const std::string idx = directory.file("t10k-images-idx3-ubyte.gz") + ":0";
  const auto plain = run_qama({"classify", "-q", "--json", "-m", model, idx}).json();
  EXPECT_EQ(plain["inverted"], false);
  const auto yes =
      run_qama({"classify", "-q", "--json", "-m", model, idx, "--invert", "yes"}).json();
  EXPECT_EQ(yes["inverted"], true);
  for (std::uint8_t& pixel : pixels) pixel = static_cast<std::uint8_t>(255 - pixel);
  put_file(directory.file("t10k-images-idx3-ubyte.gz"), gzipped(idx_file({3, 28, 28}, pixels)));
  EXPECT_EQ(run_qama({"classify", "-q", "--json", "-m", model, idx}).json()["top"], yes["top"]);

  const std::vector<std::string> eval = {
      "eval",      "-q",   "--json", "-m", model, "--data", directory.path().string(),
      "--dataset", "mnist"};
  const auto other = run_qama(eval).json();
  std::vector<std::string> inverted = eval;
  inverted.insert(inverted.end(), {"--invert", "yes"});
  for (std::uint8_t& pixel : pixels) pixel = static_cast<std::uint8_t>(255 - pixel);
  put_file(directory.file("t10k-images-idx3-ubyte.gz"), gzipped(idx_file({3, 28, 28}, pixels)));
  EXPECT_EQ(run_qama(inverted).json()["mean_label_probability"], other["mean_label_probability"]);
}

TEST(CliPicture, ABlankPictureIsSaidOrRefused) {
  const TempDir directory;
  const std::string model = put_digits(directory);
  const std::string picture = directory.file("blank.png");
  put_file(picture, png_file(50, 40, 1, Bytes(2000, 250)));
  const Outcome said = run_qama({"classify", "-m", model, picture});
  EXPECT_EQ(said.status, 0);
  EXPECT_THAT(said.err, HasSubstr("blank.png' has one colour"));
  for (const char* command : {"classify", "explain", "profile"}) {
    expect_error(run_qama({command, "-q", "-m", model, picture, "--strict"}), "IMAGE_BLANK");
  }
  const Session api(model);
  qama_answer answer = new_answer();
  ASSERT_EQ(qama_session_answer_file(api.session, picture.c_str(), &answer), 0);
  EXPECT_EQ(answer.blank, 1);
  const qama_picture_options strict{sizeof strict, 0, 0, 1};
  ASSERT_EQ(qama_session_set_pictures(api.session, &strict), 0);
  const qama_status status = qama_session_answer_file(api.session, picture.c_str(), &answer);
  EXPECT_STREQ(qama_status_name(status), "IMAGE_BLANK");
  EXPECT_EQ(answer.class_index, -1);
  EXPECT_EQ(qama_session_pixels(api.session, 0), nullptr);
  ASSERT_EQ(qama_session_set_pictures(api.session, nullptr), 0);
  EXPECT_EQ(qama_session_answer_file(api.session, picture.c_str(), &answer), 0);
}

TEST(CliPicture, ShowNeedsOnePicture) {
  const TempDir directory;
  const std::string model = put_digits(directory);
  const std::string out = directory.file("out.png");
  EXPECT_EQ(run_qama({"classify", "-m", model, "a.png", "b.png", "--show", out}).status, 2);
  const std::string picture = directory.file("a.png");
  put_file(picture, png_file(28, 28, 1, sample_pixels(28, 28, 1)));
  EXPECT_NE(run_qama({"classify", "-m", model, picture, "--show", picture}).status, 0);
  EXPECT_OK(io::decode_image(bytes_of(picture), picture));  // it is still there
  const std::string text = put_model(directory, "text", small_text(AttentionKind::qama));
  EXPECT_EQ(run_qama({"classify", "-m", text, "--text", "a", "--show", out}).status, 2);
}

/// What people reported, with the shipped models: the right answer, or one sentence.
TEST(CliPicture, ReportedInputs) {
  QAMA_SHARED_OR_SKIP(inputs, "reports/inputs/image");
  const auto classify = [&](const std::string& model, const std::string& name,
                            std::vector<std::string> more = {}) {
    more.insert(more.begin(),
                {"classify", "-m", source_path("weights/models/" + model + ".safetensors").string(),
                 inputs / name});
    return run_qama(more);
  };
  // Test image 63 is a 3 by its official label, with and without the pixel.
  const std::pair<const char*, const char*> digits[] = {{"ref.png", "7"},
                                                        {"ref.pgm", "7"},
                                                        {"ref.jpg", "7"},
                                                        {"crlf.pgm", "7"},
                                                        {"white_on_transparent.png", "7"},
                                                        {"palette_trns.png", "7"},
                                                        {"onepixel_219_123.pgm", "5"},
                                                        {"onepixel_63_501.pgm", "3"}};
  for (const auto& [name, label] : digits) {
    for (const char* model : {"mnist-qama", "mnist-softmax"}) {
      EXPECT_THAT(classify(model, name).out, HasSubstr(std::string(name) + ": " + label + " "));
    }
  }
  for (const char* name : {"big.jpg", "exif6.jpg", "jfif_adobe0.jpg"}) {
    EXPECT_THAT(classify("cifar10-qama", name).out, HasSubstr(std::string(name) + ": ship "));
  }
  for (const char* name : {"bitrot_crc.png", "trunc_eoi.jpg"}) {
    const Outcome outcome = classify("mnist-qama", name);
    EXPECT_EQ(outcome.status, 1) << name;
    EXPECT_THAT(outcome.err, HasSubstr("IMAGE_BAD_FORMAT")) << name;
  }
  EXPECT_THAT(classify("mnist-qama", "gray16_low.png").err, HasSubstr("note: "));
  EXPECT_THAT(classify("mnist-qama", "gray16_low.png", {"--strict"}).err, HasSubstr("IMAGE_BLANK"));
}

}  // namespace
}  // namespace qama::test
