// The tensors that a model must have, as a list that is built part by part. Internal to weights,
// except TensorSpec.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "weights/tensor_file.h"

namespace qama::weights {

/// A tensor that a model of some architecture must have.
struct TensorSpec {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;  ///< kAnySize: any size >= 1 (the vocabulary's bytes)
  std::vector<std::int64_t> other;  ///< a second shape that is right as well (w_eps), or empty
};
inline constexpr std::int64_t kAnySize = -1;

/// All but the vocabulary and lists of numbers are floats.
class TensorList {
 public:
  void add(std::string name, std::vector<std::int64_t> shape,
           std::vector<std::int64_t> other = {}) {
    specs_.push_back({std::move(name), Dtype::f32, std::move(shape), std::move(other)});
  }
  void add_weight_bias(const std::string& name, std::vector<std::int64_t> weight,
                       std::int64_t bias) {
    add(name + ".weight", std::move(weight));
    add(name + ".bias", {bias});
  }
  void add_norm(const std::string& name, std::int64_t size) { add_weight_bias(name, {size}, size); }
  void add_scale_shift(const std::string& name, std::int64_t size) {
    add(name + ".scale", {size});
    add(name + ".shift", {size});
  }
  void add_i32(std::string name, std::vector<std::int64_t> shape) {
    specs_.push_back({std::move(name), Dtype::i32, std::move(shape), {}});
  }
  void add_u8(std::string name) { specs_.push_back({std::move(name), Dtype::u8, {kAnySize}, {}}); }
  [[nodiscard]] std::vector<TensorSpec> take() { return std::move(specs_); }

 private:
  std::vector<TensorSpec> specs_;
};

}  // namespace qama::weights
