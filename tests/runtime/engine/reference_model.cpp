#include "tests/runtime/engine/reference_model.h"

#include <cmath>
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xsort.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

namespace qama::test {
namespace {

using Matrix = xt::xtensor<double, 2>;
using Vector = xt::xtensor<double, 1>;
using Cube = xt::xtensor<double, 3>;

class Forward {
 public:
  Forward(const weights::ModelFile& file, const Spins& spins)
      : file_(file), a_(file.architecture()), spins_(spins) {}

  Intermediates image(const std::vector<float>& pixels) {
    const auto patch = static_cast<std::size_t>(a_.patch);
    const auto channels = static_cast<std::size_t>(a_.image_channels);
    const auto height = static_cast<std::size_t>(a_.image_height);
    const auto width = static_cast<std::size_t>(a_.image_width);
    const std::size_t rows = height / patch;
    const std::size_t cols = width / patch;
    Matrix patches = xt::zeros<double>({rows * cols, patch * patch * channels});
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t y = 0; y < height; ++y) {
        for (std::size_t x = 0; x < width; ++x) {
          const std::size_t token = (y / patch) * cols + x / patch;
          const std::size_t entry = ((y % patch) * patch + x % patch) * channels + c;
          patches(token, entry) = pixels[(c * height + y) * width + x];
        }
      }
    }
    Matrix x;
    if (a_.patch_norms) {
      x = linear(layer_norm(patches, "patch.norm1", a_.patch_norm_eps), "patch.linear", true);
      x = layer_norm(x, "patch.norm2");
    } else {
      x = linear(patches, "patch.linear", true);
    }
    if (a_.class_tokens > 0) {
      const Matrix grid = x;
      const Matrix first = matrix("class_token");
      const std::size_t count = first.shape(0);
      x = xt::zeros<double>({count + grid.shape(0), grid.shape(1)});
      xt::view(x, xt::range(std::size_t{0}, count)) = first;
      xt::view(x, xt::range(count, x.shape(0))) = grid;
      return blocks(x + matrix("position"));
    }
    x += matrix("position");
    const auto pool_rows = static_cast<std::size_t>(a_.token_pool_rows);
    const auto pool_cols = static_cast<std::size_t>(a_.token_pool_cols);
    Matrix pooled = xt::zeros<double>({rows / pool_rows * (cols / pool_cols), x.shape(1)});
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < cols; ++c) {
        const std::size_t to = r / pool_rows * (cols / pool_cols) + c / pool_cols;
        xt::view(pooled, to) +=
            xt::view(x, r * cols + c) / static_cast<double>(pool_rows * pool_cols);
      }
    }
    return blocks(pooled);
  }

  Intermediates features(const std::vector<float>& input) {
    const std::size_t width = matrix("embed.proj.weight").shape(1);
    Matrix x = xt::zeros<double>({input.size() / width, width});
    for (std::size_t i = 0; i < input.size(); ++i) x(i / width, i % width) = input[i];
    return blocks(linear(x, "embed.proj", true));
  }

  Intermediates text(const std::vector<std::int32_t>& tokens) {
    const Matrix table = matrix("embed.weight");
    const auto width = static_cast<std::ptrdiff_t>(table.shape(1));
    const auto count = static_cast<std::ptrdiff_t>(tokens.size());
    Matrix words = xt::zeros<double>({tokens.size(), static_cast<std::size_t>(a_.projected())});
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      for (std::ptrdiff_t place = 0; place < 2 * a_.neighbours + 1; ++place) {
        const std::ptrdiff_t from = i + place - a_.neighbours;
        if (from < 0 || from >= count) continue;
        xt::view(words, i, xt::range(place * width, (place + 1) * width)) =
            xt::view(table, static_cast<std::size_t>(tokens[static_cast<std::size_t>(from)]));
      }
      if (a_.ngrams > 0) words(i, a_.projected() - 1) = score(tokens, i);
    }
    const Matrix all = matrix("position");
    const Matrix position = xt::view(all, xt::range(std::size_t{0}, tokens.size()));
    if (a_.embedding_norm) words = layer_norm(words + position, "embed.norm");
    if (a_.embedding_projection) words = linear(words, "embed.proj", true);
    if (!a_.embedding_norm) words += position;
    return blocks(words);
  }

 private:
  /// What FORMAT.md says of `ngrams`, n-gram by n-gram from its first word.
  double score(const std::vector<std::int32_t>& tokens, std::ptrdiff_t last) const {
    const auto table = *file_.f32("embed.ngrams");
    double sum = 0.0;
    for (std::ptrdiff_t words = 1; words <= a_.ngrams && words <= last + 1; ++words) {
      std::uint64_t h = 0;
      for (std::ptrdiff_t back = 0; back < words; ++back) {
        h = (h * 2654435761U +
             static_cast<std::uint64_t>(tokens[static_cast<std::size_t>(last - back)])) %
            4294967296U;
        h = (h ^ (h / 65536)) * 2246822507U % 4294967296U;
        h = (h ^ (h / 8192)) * 3266489909U % 4294967296U;
        h ^= h / 65536;
      }
      sum += table[h % table.size()];
    }
    return sum;
  }

  Vector vector(const std::string& name) const {
    const auto values = *file_.f32(name);
    Vector out = xt::zeros<double>({values.size()});
    for (std::size_t i = 0; i < values.size(); ++i) out(i) = values[i];
    return out;
  }
  Matrix matrix(const std::string& name) const {
    const auto& shape = (*file_.tensor(name))->shape;
    Matrix out =
        xt::zeros<double>({static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1])});
    const auto values = *file_.f32(name);
    for (std::size_t i = 0; i < values.size(); ++i) out.flat(i) = values[i];
    return out;
  }
  static Matrix product(const Matrix& a, const Matrix& b) {  // a b^T
    Matrix out = xt::zeros<double>({a.shape(0), b.shape(0)});
    for (std::size_t i = 0; i < a.shape(0); ++i) {
      for (std::size_t j = 0; j < b.shape(0); ++j) {
        for (std::size_t k = 0; k < a.shape(1); ++k) out(i, j) += a(i, k) * b(j, k);
      }
    }
    return out;
  }
  Matrix linear(const Matrix& x, const std::string& name, bool bias) const {
    Matrix y = product(x, matrix(name + ".weight"));
    if (bias) y += vector(name + ".bias");
    return y;
  }
  Matrix layer_norm(const Matrix& x, const std::string& name,
                    std::optional<double> eps = std::nullopt) const {
    return layer_norm(x, vector(name + ".weight"), vector(name + ".bias"),
                      eps.value_or(a_.norm_eps));
  }
  Matrix layer_norm(const Matrix& x, const Vector& gamma, const Vector& beta, double eps) const {
    Matrix y = x;
    for (std::size_t i = 0; i < x.shape(0); ++i) {
      const Vector row = xt::view(x, i);
      const double mean = xt::mean(row)();
      const double variance = xt::mean(xt::square(row - mean))();
      xt::view(y, i) = (row - mean) / std::sqrt(variance + eps) * gamma + beta;
    }
    return y;
  }
  Matrix gelu(Matrix x) const {
    for (double& v : x) {
      v = a_.gelu == weights::Gelu::erf
              ? 0.5 * v * (1.0 + std::erf(v / std::sqrt(2.0)))
              : 0.5 * v * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (v + 0.044715 * v * v * v)));
    }
    return x;
  }
  void keep(const std::string& name, const Matrix& x) { out_[name].assign(x.begin(), x.end()); }

  Matrix softmax_attention(const Matrix& qkv) const {
    const std::size_t n = qkv.shape(0);
    const auto heads = static_cast<std::size_t>(a_.heads);
    const auto d_count = static_cast<std::size_t>(a_.dim_head);
    Matrix out = xt::zeros<double>({n, heads * d_count});
    for (std::size_t t = 0; t < heads; ++t) {
      const auto part = [&](std::size_t which) {
        const std::size_t from = (which * heads + t) * d_count;
        return Matrix(xt::view(qkv, xt::all(), xt::range(from, from + d_count)));
      };
      Matrix weights = xt::exp(product(part(0), part(1)) / std::sqrt(static_cast<double>(d_count)));
      const Vector total = xt::sum(weights, {1});
      const Matrix values = part(2);
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < n; ++j) {
          for (std::size_t d = 0; d < d_count; ++d) {
            out(i, t * d_count + d) += weights(i, j) / total(i) * values(j, d);
          }
        }
      }
    }
    return out;
  }

  /// Standardises the entries where `mask` is 1 by their own mean and variance.
  static void standardise(Matrix& x, const Matrix& mask, double eps) {
    const double count = xt::sum(mask)();
    const double mean = xt::sum(x * mask)() / count;
    const double variance = xt::sum(xt::square(x - mean) * mask)() / count;
    x = (x - mean) / std::sqrt(variance + eps);
  }

  Matrix qama_attention(const Matrix& qkv, const std::string& attn, std::size_t block) {
    const std::size_t n = qkv.shape(0);
    const auto heads = static_cast<std::size_t>(a_.heads);
    const auto d_count = static_cast<std::size_t>(a_.dim_head);
    const bool instance = a_.attention.normalisation == weights::Normalisation::instance;
    const Matrix w_eps = matrix(attn + "w_eps");
    const Vector coupling_scale = vector(attn + "coupling.scale");
    const Vector coupling_shift = vector(attn + "coupling.shift");
    const Vector field_scale = vector(attn + "field.scale");
    const Vector field_shift = vector(attn + "field.shift");
    const double rho = static_cast<double>(n) * a_.attention.rho0;
    Matrix energies = xt::zeros<double>({heads, n});
    Matrix concatenated = xt::zeros<double>({n, heads * d_count});
    const Matrix off_diagonal = xt::ones<double>({n, n}) - xt::eye<double>(n);
    const Matrix everywhere = xt::ones<double>({n, std::size_t{1}});
    for (std::size_t t = 0; t < heads; ++t) {
      const auto part = [&](std::size_t which) {
        const std::size_t from = (which * heads + t) * d_count;
        return Matrix(xt::view(qkv, xt::all(), xt::range(from, from + d_count)));
      };
      const Matrix scores = product(part(0), part(1));  // Q K^T
      Matrix couplings = product(scores, scores) / (2.0 * static_cast<double>(d_count));
      const Matrix w =
          xt::view(w_eps, xt::range(w_eps.shape(0) == 1 ? 0 : t, (w_eps.shape(0) == 1 ? 0 : t) + 1),
                   xt::all());
      Matrix fields = product(part(2), w);  // [n][1]
      if (instance) {
        standardise(couplings, off_diagonal, a_.norm_eps);
        standardise(fields, everywhere, a_.norm_eps);
      }
      couplings = (couplings * coupling_scale(t) + coupling_shift(t)) * off_diagonal;
      fields = fields * field_scale(t) + field_shift(t);
      for (std::size_t i = 0; i < n; ++i) {
        const double s_i = spins_[block][t * n + i];
        double sum = 0;
        for (std::size_t j = 0; j < n; ++j) sum += couplings(i, j) * spins_[block][t * n + j];
        energies(t, i) = -s_i * sum - rho * fields(i, 0) * s_i;
        double e = energies(t, i);
        if (a_.attention.energy_norm == weights::EnergyNorm::batch) {
          e = e * vector(attn + "energy.scale")(t) + vector(attn + "energy.shift")(t);
        }
        for (std::size_t d = 0; d < d_count; ++d) concatenated(i, t * d_count + d) = e * w(0, d);
      }
    }
    keep("block." + std::to_string(block) + ".energies", energies);
    if (a_.attention.energy_norm == weights::EnergyNorm::layer) {
      concatenated = layer_norm(concatenated, vector(attn + "energy.weight"),
                                vector(attn + "energy.bias"), a_.norm_eps);
    }
    return concatenated;
  }

  Intermediates blocks(Matrix x) {
    keep("embed", x);
    for (std::size_t block = 0; block < static_cast<std::size_t>(a_.depth); ++block) {
      const std::string name = "block." + std::to_string(block) + ".";
      // Blocks that share their tensors stand side by side.
      const std::size_t shared = static_cast<std::size_t>(a_.depth / a_.groups());
      const std::string tensor = "blocks." + std::to_string(block / shared) + ".";
      const bool post = a_.norm == weights::NormPlace::post;
      const Matrix normed = post ? x : layer_norm(x, tensor + "attn.norm");
      if (!post) keep(name + "attn_norm", normed);
      const Matrix qkv = linear(normed, tensor + "attn.qkv", a_.qkv_bias);
      const Matrix mixed = a_.is_qama(static_cast<std::int32_t>(block))
                               ? qama_attention(qkv, tensor + "attn.", block)
                               : softmax_attention(qkv);
      const Matrix attended = linear(mixed, tensor + "attn.out", a_.out_bias);
      keep(name + "attn_out", attended);
      x += attended;
      if (post) x = layer_norm(x, tensor + "attn.norm");
      const Matrix hidden =
          gelu(linear(post ? x : layer_norm(x, tensor + "mlp.norm"), tensor + "mlp.fc1", true));
      x += linear(hidden, tensor + "mlp.fc2", true);
      if (post) x = layer_norm(x, tensor + "mlp.norm");
      keep(name + "out", x);
    }
    if (a_.norm == weights::NormPlace::pre) x = layer_norm(x, "norm");
    keep("norm", x);
    Vector pooled = xt::mean(x, {0});
    if (a_.pool == weights::Pool::max) pooled = xt::amax(x, {0});
    if (a_.pool == weights::Pool::class_token) {
      pooled = xt::zeros<double>({static_cast<std::size_t>(a_.pooled_width())});
      for (std::size_t i = 0; i < pooled.size(); ++i) pooled(i) = x.flat(i);
    }
    out_["pooled"].assign(pooled.begin(), pooled.end());
    Matrix row = xt::zeros<double>({std::size_t{1}, pooled.size()});
    xt::view(row, 0) = pooled;
    if (a_.head_hidden > 0) {
      row = linear(row, "head.hidden", true);
      for (double& v : row) {
        v = a_.head_activation == weights::HeadActivation::tanh ? std::tanh(v) : std::max(v, 0.0);
      }
    }
    keep("logits", linear(row, "head", true));
    return std::move(out_);
  }

  const weights::ModelFile& file_;
  const weights::Architecture& a_;
  const Spins& spins_;
  Intermediates out_;
};

}  // namespace

Intermediates reference_image_forward(const weights::ModelFile& file,
                                      const std::vector<float>& image, const Spins& spins) {
  return Forward(file, spins).image(image);
}

Intermediates reference_feature_forward(const weights::ModelFile& file,
                                        const std::vector<float>& features, const Spins& spins) {
  return Forward(file, spins).features(features);
}

Intermediates reference_text_forward(const weights::ModelFile& file,
                                     const std::vector<std::int32_t>& tokens, const Spins& spins) {
  return Forward(file, spins).text(tokens);
}

}  // namespace qama::test
