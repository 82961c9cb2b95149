#include "runtime/serve/protocol.h"

#include <sodium.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/base/strict_json.h"
#include "runtime/api/answer.h"

namespace qama::serve {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are sent as they lie in memory");

constexpr std::string_view kVersion = "1";

struct Output {
  std::string_view name, datatype;
  bool per_class;
};
constexpr Output kOutputs[] = {
    {"label", "BYTES", false}, {"probabilities", "FP64", true}, {"logits", "FP32", true}};
constexpr std::size_t kLabel = 0, kProbabilities = 1;

template <typename... Parts>
Error refusal(const Parts&... parts) {
  return make_error(ErrorCode::invalid_argument, parts...);
}

Result<std::uint64_t> number_of(std::string_view text, std::string_view what) {
  std::uint64_t out = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
  if (read.ec == std::errc() && read.ptr == text.data() + text.size()) return out;
  return refusal(what, " is ", quote(text), ", expected an integer from 0");
}

/// Microseconds, of any request; two weeks are for ever.
std::int64_t bounded_timeout(std::uint64_t given) {
  return static_cast<std::int64_t>(std::min(given, std::uint64_t{1} << 40));
}

// ---- what a request says of its tensor ----

enum class Datatype : std::uint8_t { bytes, uint8, fp32 };
constexpr std::pair<std::string_view, Datatype> kDatatypes[] = {
    {"BYTES", Datatype::bytes}, {"UINT8", Datatype::uint8}, {"FP32", Datatype::fp32}};

struct Input {
  std::string name;
  Datatype type = Datatype::bytes;
  std::vector<std::uint64_t> shape;
  const Json* data = nullptr;  ///< null: the tensor lies behind the JSON
  std::string_view binary;
};

/// A tensor's name in this model.
std::string_view input_name(const runtime::Model& model) {
  const weights::Architecture& a = model.architecture();
  return a.is_text() ? "text" : a.is_features() ? "features" : "image";
}

/// The shape behind the first dimension that a tensor of this type has; none: no such tensor.
std::optional<std::vector<std::uint64_t>> shape_of(const runtime::Model& model, Datatype type) {
  const weights::Architecture& a = model.architecture();
  const auto dims = [](auto... values) {
    return std::vector<std::uint64_t>{static_cast<std::uint64_t>(values)...};
  };
  if (type == Datatype::bytes && !a.is_features()) return dims();
  if (a.is_image() && type == Datatype::uint8)
    return dims(a.image_height, a.image_width, a.image_channels);
  if (a.is_image() && type == Datatype::fp32)
    return dims(a.image_channels, a.image_height, a.image_width);
  if (a.is_features() && type == Datatype::fp32) return dims(a.max_tokens, a.embedding);
  return std::nullopt;
}

std::string text_of(std::span<const std::uint64_t> shape) {
  std::string out = "[n";
  for (const std::uint64_t size : shape) out += ", " + std::to_string(size);
  return out + "]";
}

/// Samples of the tensor, after a look at its shape.
Result<std::int32_t> count_of(const runtime::Model& model, const Input& input) {
  if (input.name != input_name(model)) {
    return refusal("input ", quote(input.name), ": expected ", quote(input_name(model)));
  }
  const auto expected = shape_of(model, input.type);
  if (!expected) {
    return make_error(ErrorCode::model_wrong_kind, "input ", quote(input.name),
                      " has a datatype that the model, which classifies ", model.takes(),
                      ", does not take");
  }
  // A text or an image file may stand in a column, as some clients send it.
  std::vector<std::uint64_t> shape = input.shape;
  if (expected->empty() && shape.size() == 2 && shape[1] == 1) shape.pop_back();
  if (shape.empty() ||
      !std::equal(shape.begin() + 1, shape.end(), expected->begin(), expected->end())) {
    return refusal("input ", quote(input.name), " has another shape, expected ",
                   text_of(*expected));
  }
  if (shape[0] < 1 || shape[0] > kMaxSamples) {
    return refusal("input ", quote(input.name), " has ", shape[0], " samples, expected 1 to ",
                   kMaxSamples);
  }
  return static_cast<std::int32_t>(shape[0]);
}

// ---- the tensor's values ----

/// Calls take(value) for every value of nested arrays; the first error ends it.
template <typename Take>
Status for_each_value(const Json& values, const Take& take) {
  if (!values.is_array()) return take(values);
  for (const Json& value : values) QAMA_RETURN_IF_ERROR(for_each_value(value, take));
  return {};
}

/// Exactly `size` numbers.
template <typename T>
Status read_numbers(const Input& input, std::size_t size, std::vector<T>& out) {
  const auto wrong_size = [&](std::size_t got) {
    return refusal("input ", quote(input.name), " has ", got, " values, its shape says ", size);
  };
  if (input.data == nullptr) {
    if (input.binary.size() != size * sizeof(T)) {
      return refusal("input ", quote(input.name), " has ", input.binary.size(),
                     " bytes behind the JSON, its shape says ", size * sizeof(T));
    }
    out.resize(size);
    std::memcpy(out.data(), input.binary.data(), input.binary.size());
  } else {
    // A value has two bytes of text at least, so this is bounded by the body.
    QAMA_RETURN_IF_ERROR(for_each_value(*input.data, [&](const Json& value) -> Status {
      if constexpr (std::is_same_v<T, std::uint8_t>) {
        if (!value.is_number_unsigned() || value.template get<std::uint64_t>() > 255) {
          return refusal("input ", quote(input.name), " has a value that is no integer 0 to 255");
        }
      } else if (!value.is_number()) {
        return refusal("input ", quote(input.name), " has a value that is no number");
      }
      if (out.size() == size) return wrong_size(size + 1);
      out.push_back(value.template get<T>());
      return {};
    }));
    if (out.size() != size) return wrong_size(out.size());
  }
  if constexpr (std::is_same_v<T, float>) {
    for (const float value : out) {
      if (!std::isfinite(value)) {
        return make_error(ErrorCode::problem_bad_value, "input ", quote(input.name),
                          " has a value that is not finite");
      }
    }
  }
  return {};
}

/// False for what is no base64.
bool from_base64(std::string_view text, std::string& out) {
  out.resize(text.size() / 4 * 3);
  std::size_t size = 0;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(),
                        text.size(), nullptr, &size, nullptr,
                        sodium_base64_VARIANT_ORIGINAL) != 0) {
    return false;
  }
  out.resize(size);
  return true;
}

/// Calls take(bytes) for every element of a BYTES tensor; `count` of them.
template <typename Take>
Status for_each_element(const Input& input, bool base64, std::int32_t count, const Take& take) {
  std::int32_t taken = 0;
  const auto next = [&](std::string_view bytes) -> Status {
    if (taken++ == count) {
      return refusal("input ", quote(input.name), " has more values than its shape says, ", count);
    }
    return take(bytes);
  };
  if (input.data != nullptr) {
    QAMA_RETURN_IF_ERROR(for_each_value(*input.data, [&](const Json& value) -> Status {
      if (!value.is_string()) {
        return refusal("input ", quote(input.name), " has a value that is no string");
      }
      const std::string& text = value.get_ref<const std::string&>();
      if (!base64) return next(text);
      std::string bytes;
      if (!from_base64(text, bytes)) {
        return refusal("input ", quote(input.name),
                       " has a value that is no base64, which images in JSON are");
      }
      return next(bytes);
    }));
  } else {
    std::string_view rest = input.binary;
    while (!rest.empty()) {
      std::uint32_t size = 0;
      if (rest.size() >= sizeof size) std::memcpy(&size, rest.data(), sizeof size);
      if (rest.size() < sizeof size || size > rest.size() - sizeof size) {
        return refusal("input ", quote(input.name), " ends within an element");
      }
      QAMA_RETURN_IF_ERROR(next(rest.substr(sizeof size, size)));
      rest.remove_prefix(sizeof size + size);
    }
  }
  if (taken == count) return {};
  return refusal("input ", quote(input.name), " has ", taken, " values, its shape says ", count);
}

// ---- samples ----

Status add_element(const runtime::SampleReader& reader, std::string_view bytes, InferRequest& out) {
  const std::string name = "sample " + std::to_string(out.count);
  if (reader.tokeniser() != nullptr) {
    QAMA_ASSIGN_OR_RETURN(const runtime::Sample sample, reader.text(bytes, name));
    out.kind = InferRequest::Kind::tokens;
    out.tokens.insert(out.tokens.end(), sample.tokens.begin(), sample.tokens.end());
    out.lengths.push_back(sample.text.length);
  } else {
    QAMA_ASSIGN_OR_RETURN(
        const runtime::Sample sample,
        reader.encoded({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, name));
    out.kind = InferRequest::Kind::pixels;
    out.pixels.insert(out.pixels.end(), sample.pixels.begin(), sample.pixels.end());
  }
  ++out.count;
  return {};
}

Status add_tensor(const runtime::Model& model, const runtime::SampleReader& reader,
                  const Input& input, InferRequest& out) {
  QAMA_ASSIGN_OR_RETURN(const std::int32_t count, count_of(model, input));
  if (input.type == Datatype::bytes) {
    return for_each_element(
        input, model.architecture().is_image(), count,
        [&](std::string_view bytes) { return add_element(reader, bytes, out); });
  }
  out.count = count;
  const auto samples = static_cast<std::size_t>(count);
  if (input.type == Datatype::uint8) {
    out.kind = InferRequest::Kind::pixels;
    return read_numbers(input, samples * model.input_pixels(), out.pixels);
  }
  out.kind = InferRequest::Kind::floats;
  return read_numbers(input, samples * model.input_floats(), out.floats);
}

// ---- the JSON around it ----

/// A member of "parameters", or null. The protocol leaves parameters open: those that are not known
/// here are no error.
Result<const Json*> parameter(const Json* parameters, std::string_view name) {
  if (parameters == nullptr) return nullptr;
  if (!parameters->is_object()) return refusal("parameters: expected an object");
  const auto at = parameters->find(name);
  return at == parameters->end() ? nullptr : &*at;
}

/// Leaves `out` as it is where there is no such parameter.
Status read_bool(const Json* parameters, std::string_view name, bool& out) {
  QAMA_ASSIGN_OR_RETURN(const Json* value, parameter(parameters, name));
  if (value == nullptr) return {};
  if (!value->is_boolean()) return refusal("parameter ", quote(name), ": expected true or false");
  out = value->get<bool>();
  return {};
}

Status read_unsigned(const Json* parameters, std::string_view name,
                     std::optional<std::uint64_t>& out) {
  QAMA_ASSIGN_OR_RETURN(const Json* value, parameter(parameters, name));
  if (value == nullptr) return {};
  if (!value->is_number_unsigned()) {
    return refusal("parameter ", quote(name), ": expected an integer from 0");
  }
  out = value->get<std::uint64_t>();
  return {};
}

Result<Input> read_input(const Json& value, std::string_view behind) {
  Input out;
  ObjectReader reader(value, "inputs[0]", ErrorCode::invalid_argument);
  reader.read("name", out.name);
  reader.read("datatype", out.type, kDatatypes);
  const Json* shape = reader.raw("shape");
  out.data = reader.optional("data");
  const Json* parameters = reader.optional("parameters");
  QAMA_RETURN_IF_ERROR(reader.finish());
  if (!shape->is_array() || shape->size() > 8) return refusal("inputs[0].shape: expected an array");
  for (const Json& size : *shape) {
    if (!size.is_number_unsigned()) return refusal("inputs[0].shape: expected integers from 0");
    out.shape.push_back(size.get<std::uint64_t>());
  }
  std::optional<std::uint64_t> size;
  QAMA_RETURN_IF_ERROR(read_unsigned(parameters, "binary_data_size", size));
  if (size.has_value() == (out.data != nullptr)) {
    return refusal("inputs[0] needs either data or the parameter 'binary_data_size'");
  }
  if (out.data != nullptr && !out.data->is_array()) {
    return refusal("inputs[0].data: expected an array");
  }
  if (size.value_or(0) != behind.size()) {
    return refusal("inputs[0] has ", size.value_or(0), " bytes behind the JSON, the body has ",
                   behind.size());
  }
  out.binary = behind;
  return out;
}

Status read_outputs(const Json* outputs, bool binary, InferRequest& request) {
  if (outputs == nullptr) {
    for (std::size_t i = 0; i < std::size(kOutputs); ++i) request.outputs.push_back({i, binary});
    return {};
  }
  if (!outputs->is_array() || outputs->size() > std::size(kOutputs)) {
    return refusal("outputs: expected an array of at most ", std::size(kOutputs));
  }
  for (const Json& output : *outputs) {
    std::string wanted;
    ObjectReader reader(output, sentence("outputs[", request.outputs.size(), "]"),
                        ErrorCode::invalid_argument);
    reader.read("name", wanted);
    const Json* parameters = reader.optional("parameters");
    QAMA_RETURN_IF_ERROR(reader.finish());
    std::size_t which = 0;
    while (which < std::size(kOutputs) && kOutputs[which].name != wanted) ++which;
    if (which == std::size(kOutputs)) {
      return refusal("output ", quote(wanted), ": expected label|probabilities|logits");
    }
    WantedOutput& added = request.outputs.emplace_back(WantedOutput{which, binary});
    QAMA_RETURN_IF_ERROR(read_bool(parameters, "binary_data", added.binary));
  }
  return {};
}

Status read_json(const runtime::Model& model, const runtime::SampleReader& reader,
                 std::string_view text, std::string_view behind, InferRequest& out) {
  QAMA_ASSIGN_OR_RETURN(const Json json, parse_json(text, {.what = "request",
                                                           .code = ErrorCode::invalid_argument,
                                                           .twice = ErrorCode::invalid_argument,
                                                           .max_bytes = text.size(),
                                                           .max_depth = 12,
                                                           .max_values = std::size_t{1} << 21}));
  ObjectReader object(json, "request", ErrorCode::invalid_argument);
  const Json* inputs = object.raw("inputs");
  const Json* id = object.optional("id");
  const Json* parameters = object.optional("parameters");
  const Json* outputs = object.optional("outputs");
  QAMA_RETURN_IF_ERROR(object.finish());
  if (id != nullptr) {
    if (!id->is_string()) return refusal("request.id: expected a string");
    out.id = id->get<std::string>();
  }
  std::optional<std::uint64_t> index, timeout;
  bool binary = false;
  QAMA_RETURN_IF_ERROR(read_unsigned(parameters, "sample_index", index));
  QAMA_RETURN_IF_ERROR(read_unsigned(parameters, "timeout", timeout));
  QAMA_RETURN_IF_ERROR(read_bool(parameters, "binary_data_output", binary));
  if (index) out.first_sample = *index;
  if (timeout) out.timeout_us = bounded_timeout(*timeout);
  QAMA_RETURN_IF_ERROR(read_outputs(outputs, binary, out));
  if (!inputs->is_array() || inputs->size() != 1) {
    return refusal("request.inputs: expected an array of one tensor, ", quote(input_name(model)));
  }
  QAMA_ASSIGN_OR_RETURN(const Input input, read_input((*inputs)[0], behind));
  return add_tensor(model, reader, input, out);
}

// ---- replies ----

/// The shortest text that is read as the same number.
template <typename T>
void append_number(std::string& out, T value) {
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out.append(text, end);
}

template <typename T>
void append_values(std::string& out, std::span<const T> values, bool binary) {
  if (binary) {
    out.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
    return;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    append_number(out, values[i]);
  }
}

std::string json_string(std::string_view text) {
  return Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// What a tensor's "data" holds, or its bytes.
std::string write_output(const runtime::Model& model, const WantedOutput& wanted,
                         std::span<const float> logits, std::span<const double> probabilities) {
  std::string out;
  if (wanted.which == kProbabilities) {
    append_values(out, probabilities, wanted.binary);
  } else if (wanted.which != kLabel) {
    append_values(out, logits, wanted.binary);
  } else {
    const auto classes = static_cast<std::size_t>(model.classes());
    for (std::size_t at = 0; at < logits.size(); at += classes) {
      const std::string_view label = model.label(runtime::argmax(logits.subspan(at, classes)));
      if (wanted.binary) {
        const auto size = static_cast<std::uint32_t>(label.size());
        out.append(reinterpret_cast<const char*>(&size), sizeof size);
        out += label;
      } else {
        out += (at > 0 ? "," : "") + json_string(label);
      }
    }
  }
  return out;
}

Json tensor_json(std::string_view name, std::string_view datatype,
                 std::span<const std::uint64_t> behind) {
  Json shape = Json::array({-1});
  for (const std::uint64_t size : behind) shape.push_back(size);
  return {{"name", name}, {"datatype", datatype}, {"shape", std::move(shape)}};
}

}  // namespace

Result<InferRequest> read_request(const runtime::Model& model, const runtime::SampleReader& reader,
                                  const InferBody& body) {
  InferRequest out;
  if (!body.sample_index.empty()) {
    QAMA_ASSIGN_OR_RETURN(out.first_sample, number_of(body.sample_index, "sample_index"));
  }
  if (!body.timeout.empty()) {
    QAMA_ASSIGN_OR_RETURN(const std::uint64_t timeout, number_of(body.timeout, "timeout"));
    out.timeout_us = bounded_timeout(timeout);
  }
  const std::string_view type = body.content_type;
  if (!body.header_length.empty()) {
    QAMA_ASSIGN_OR_RETURN(const std::uint64_t length,
                          number_of(body.header_length, "Inference-Header-Content-Length"));
    if (length > body.bytes.size()) {
      return refusal("Inference-Header-Content-Length is ", length, ", the body has ",
                     body.bytes.size(), " bytes");
    }
    const auto size = static_cast<std::size_t>(length);
    QAMA_RETURN_IF_ERROR(
        read_json(model, reader, body.bytes.substr(0, size), body.bytes.substr(size), out));
  } else if (type.starts_with("image/") || type.starts_with("text/plain")) {
    if (type.starts_with("image/") != model.architecture().is_image() ||
        type.starts_with("text/") != model.architecture().is_text()) {
      return make_error(ErrorCode::model_wrong_kind, "a body of type ", quote(type),
                        ": the model classifies ", model.takes());
    }
    QAMA_RETURN_IF_ERROR(read_outputs(nullptr, false, out));
    QAMA_RETURN_IF_ERROR(add_element(reader, body.bytes, out));
  } else {
    QAMA_RETURN_IF_ERROR(read_json(model, reader, body.bytes, {}, out));
  }
  // The last index is a number, too.
  if (out.first_sample > UINT64_MAX - static_cast<std::uint64_t>(out.count)) {
    return refusal("sample_index ", out.first_sample, " is too large for ", out.count, " samples");
  }
  return out;
}

Result<InferReply> write_reply(const runtime::Model& model, std::string_view name,
                               const InferRequest& request, std::span<const float> logits) {
  const auto classes = static_cast<std::size_t>(model.classes());
  std::vector<double> probabilities(logits.size());
  for (std::size_t at = 0; at < logits.size(); at += classes) {
    QAMA_RETURN_IF_ERROR(runtime::softmax(logits.subspan(at, classes),
                                          std::span(probabilities).subspan(at, classes)));
  }
  InferReply out;
  std::string& json = out.body;
  std::string behind;
  json = "{\"model_name\":" + json_string(name) + ",\"model_version\":\"" + std::string(kVersion) +
         "\"";
  if (!request.id.empty()) json += ",\"id\":" + json_string(request.id);
  json += ",\"outputs\":[";
  for (std::size_t i = 0; i < request.outputs.size(); ++i) {
    const WantedOutput& wanted = request.outputs[i];
    const Output& output = kOutputs[wanted.which];
    const std::string data = write_output(model, wanted, logits, probabilities);
    json += sentence(i > 0 ? "," : "", "{\"name\":\"", output.name, "\",\"datatype\":\"",
                     output.datatype, "\",\"shape\":[", request.count);
    if (output.per_class) json += sentence(",", classes);
    if (wanted.binary) {
      json += sentence("],\"parameters\":{\"binary_data_size\":", data.size(), "}}");
      behind += data;
    } else {
      json += "],\"data\":[" + data + "]}";
    }
  }
  json += "]}";
  if (!behind.empty()) {
    out.header_length = json.size();
    json += behind;
  }
  return out;
}

std::string model_metadata(const runtime::Model& model, std::string_view name) {
  Json inputs = Json::array();
  const Datatype main = model.architecture().is_text()    ? Datatype::bytes
                        : model.architecture().is_image() ? Datatype::uint8
                                                          : Datatype::fp32;
  for (const auto& [datatype, type] : kDatatypes) {
    if (type != main) continue;
    inputs.push_back(tensor_json(input_name(model), datatype, *shape_of(model, type)));
  }
  Json outputs = Json::array();
  const std::uint64_t classes[] = {static_cast<std::uint64_t>(model.classes())};
  for (const Output& output : kOutputs) {
    outputs.push_back(tensor_json(output.name, output.datatype,
                                  std::span(classes).first(output.per_class ? 1 : 0)));
  }
  return Json{{"name", name},
              {"versions", Json::array({kVersion})},
              {"platform", "qama"},
              {"inputs", std::move(inputs)},
              {"outputs", std::move(outputs)}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string server_metadata(std::string_view version) {
  return Json{
      {"name", "qama"}, {"version", version}, {"extensions", Json::array({"binary_tensor_data"})}}
      .dump();
}

std::string error_body(const Error& error) {
  return "{\"error\":" + json_string(std::string(error_name(error.code)) + ": " + error.message) +
         "}";
}

int http_status(ErrorCode code) noexcept {
  const auto number = static_cast<std::int32_t>(code);
  if (code == ErrorCode::not_found) return 404;
  if (code == ErrorCode::deadline_exceeded) return 504;
  if (code == ErrorCode::invalid_argument || code == ErrorCode::model_wrong_kind ||
      code == ErrorCode::problem_bad_value || code == ErrorCode::index_out_of_range ||
      (number >= 200 && number < 300)) {
    return 400;
  }
  if (code == ErrorCode::out_of_memory || (number >= 303 && number < 400)) return 503;
  return 500;
}

}  // namespace qama::serve
