// `qama explain`: for one input, what the paper shows of its operator. Figure 3: which tokens every
// head selected. Figure 4: the energy of every token and the distribution of what the layer puts
// out. Figure 5: the energy after every single flip against the energy of the answer. All of it is
// computed again in double from the layer's factors and the spins that the device gave; a layer of
// first-version QAMA has no factors: its integers are taken instead, and the token energies are the
// engine's.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "hal/base/quote.h"
#include "runtime/api/sample.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/html_page.h"
#include "runtime/cli/report.h"

namespace qama::cli {
namespace {

/// A solved layer. Arrays are [heads][tokens] unless it says otherwise.
struct Layer {
  std::int32_t block = 0, heads = 0, tokens = 0;
  std::int32_t bits = 1;             ///< spins of a token; more than one in first-version QAMA only
  double energy = 0;                 ///< E(s), Eq. 3, with the penalty
  double pure_energy = 0;            ///< sum of the token energies, without it
  std::vector<std::int32_t> mask;    ///< 0 to top(): how much of a token a head selected
  std::vector<double> flip_energy;   ///< [heads][tokens bits], E after flipping that spin
  std::vector<double> token_energy;  ///< e_ti, Eq. 5
  std::vector<double> output;        ///< what the layer adds to the residual stream, [tokens][dim]

  [[nodiscard]] std::int32_t top() const noexcept { return (1 << bits) - 1; }
};

struct Moments {
  double mean = 0, deviation = 0;
};
Moments moments(std::span<const double> values) {
  Moments out;
  if (values.empty()) return out;
  const auto n = static_cast<double>(values.size());
  for (const double v : values) out.mean += v / n;
  for (const double v : values) out.deviation += (v - out.mean) * (v - out.mean) / n;
  out.deviation = std::sqrt(out.deviation);
  return out;
}

/// Keeps what a run passes by: the factors of every layer, then its spins, energies and output.
class Watcher final : public runtime::Recorder, public runtime::ProblemSink {
 public:
  void problem(const runtime::LayerProblem& p) override {
    Layer layer;
    layer.block = p.layer;
    layer.heads = p.heads;
    layer.tokens = p.tokens;
    layers.push_back(std::move(layer));
    layers.back().bits = p.bits;
    if (p.factors.empty()) {
      take_integers(*p.problem);
    } else {
      take_factors(p);
    }
  }

  /// Energies of the answer and of its neighbours, with the couplings of the layer that went by
  /// last.
  void spins(std::string_view /*name*/, std::int32_t /*sample*/,
             std::span<const std::uint8_t> values) override {
    if (layers.empty()) return;
    Layer& layer = layers.back();
    const auto bits = static_cast<std::size_t>(layer.bits);
    const std::size_t n = static_cast<std::size_t>(layer.tokens) * bits;  // spins a head
    const auto heads = static_cast<std::size_t>(layer.heads);
    const std::size_t all = values.size() / heads;  // the model's; a text may have fewer tokens
    std::vector<std::uint8_t> spins(heads * n);
    layer.mask.assign(spins.size() / bits, 0);
    std::vector<double> selected(n);  // heads that select a spin's token
    for (std::size_t t = 0; t < heads; ++t) {
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t k = t * n + i;
        spins[k] = values[t * all + i];
        layer.mask[k / bits] |= static_cast<std::int32_t>(spins[k]) << (k % bits);
        selected[i] += spins[k];
      }
    }
    for (const double count : selected) layer.energy += lambda_ * count * (count - 1) / 2;
    // Flipping s changes the energy by (1 - 2 s) times the spin's field.
    std::vector<double> change(spins.size());
    for (std::size_t t = 0; t < heads; ++t) {
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t k = t * n + i;
        double inner = 0;
        const double* row = couplings_.data() + k * n;
        for (std::size_t j = 0; j < n; ++j) inner += spins[t * n + j] != 0 ? row[j] : 0;
        const double pull = fields_[k] + inner;
        const double own = spins[k];
        layer.energy -= own * (fields_[k] + inner / 2);
        if (bits == 1) layer.token_energy.push_back(-own * pull);
        change[k] = (1 - 2 * own) * (lambda_ * (selected[i] - own) - pull);
      }
    }
    for (const double delta : change) layer.flip_energy.push_back(layer.energy + delta);
  }

  /// Those of first-version QAMA, where a token's energy is not the sum of its spins'.
  void energies(std::string_view /*name*/, std::int32_t /*sample*/,
                std::span<const double> values) override {
    if (layers.empty()) return;
    Layer& layer = layers.back();
    const auto heads = static_cast<std::size_t>(layer.heads);
    for (std::size_t t = 0; layer.bits > 1 && t < heads; ++t) {
      const auto head =
          values.subspan(t * (values.size() / heads), static_cast<std::size_t>(layer.tokens));
      layer.token_energy.insert(layer.token_energy.end(), head.begin(), head.end());
    }
    layer.pure_energy = std::accumulate(layer.token_energy.begin(), layer.token_energy.end(), 0.0);
  }

  void tensor(std::string_view name, std::int32_t /*sample*/,
              std::span<const float> values) override {
    if (layers.empty() || name != "block." + std::to_string(layers.back().block) + ".attn_out")
      return;
    Layer& layer = layers.back();
    const std::size_t rows = static_cast<std::size_t>(layer.tokens);
    const std::size_t used = rows <= values.size()
                                 ? values.size() / std::max<std::size_t>(all_tokens, 1) * rows
                                 : values.size();
    layer.output.assign(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(used));
  }

  std::size_t all_tokens = 0;  ///< the model's N
  std::vector<Layer> layers;

 private:
  void take_factors(const runtime::LayerProblem& p) {
    lambda_ = p.lambda;
    const auto n = static_cast<std::size_t>(p.tokens);
    const auto stride = static_cast<std::size_t>(p.stride);
    const auto width = static_cast<std::size_t>(p.dim_head);
    couplings_.assign(static_cast<std::size_t>(p.heads) * n * n, 0.0);
    fields_.clear();
    for (std::size_t t = 0; t < static_cast<std::size_t>(p.heads); ++t) {
      double* head = couplings_.data() + t * n * n;
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = i + 1; j < n; ++j) {
          double sum = 0;
          for (std::size_t d = 0; d < width; ++d) {
            const float* column = p.factors.data() + (t * width + d) * stride;
            sum += static_cast<double>(column[i]) * static_cast<double>(column[j]);
          }
          head[i * n + j] = head[j * n + i] = p.coupling_scale[t] * sum + p.coupling_shift[t];
        }
        fields_.push_back(p.fields[t * stride + i]);
      }
    }
  }

  void take_integers(const hal::DenseView& p) {
    lambda_ = p.penalty / p.scale;
    const auto n = static_cast<std::size_t>(p.shape.tokens);
    const auto stride = static_cast<std::size_t>(hal::row_stride(p.shape.tokens));
    couplings_.clear();
    fields_.clear();
    for (std::size_t k = 0; k < static_cast<std::size_t>(p.shape.heads) * n; ++k) {
      for (std::size_t j = 0; j < n; ++j)
        couplings_.push_back(p.couplings[k * stride + j] / p.scale);
      fields_.push_back(p.fields[k / n * stride + k % n] / p.scale);
    }
  }

  std::vector<double> couplings_;  // of the layer at hand
  std::vector<double> fields_;
  double lambda_ = 0;
};

/// The picture as squares of its pixels, to be used again and again.
std::string picture_symbol(const weights::Architecture& a, std::span<const std::uint8_t> pixels) {
  std::string out = format(
      "<svg width=\"0\" height=\"0\" style=\"position:absolute\"><symbol id=\"input\" viewBox=\"0 "
      "0 %d %d\" "
      "preserveAspectRatio=\"none\">",
      a.image_width, a.image_height);
  const auto channels = static_cast<std::size_t>(a.image_channels);
  for (std::int32_t y = 0; y < a.image_height; ++y) {
    for (std::int32_t x = 0; x < a.image_width; ++x) {
      const std::size_t at =
          (static_cast<std::size_t>(y) * static_cast<std::size_t>(a.image_width) +
           static_cast<std::size_t>(x)) *
          channels;
      const int red = pixels[at];
      const int green = channels >= 3 ? pixels[at + 1] : red;
      const int blue = channels >= 3 ? pixels[at + 2] : red;
      // A little larger than the pixel, so that no seam shows.
      out +=
          format("<rect x=\"%d\" y=\"%d\" width=\"1.05\" height=\"1.05\" fill=\"#%02x%02x%02x\"/>",
                 x, y, red, green, blue);
    }
  }
  return out + "</symbol></svg>";
}

class Explain final : public Command {
 public:
  CommandText text() const override {
    return {.summary = "Show what the heads selected for one input, and what a flip would cost.",
            .examples = "qama explain -m MODEL shoe.png --html shoe.html\n"};
  }

  void declare(CLI::App& app) override {
    declare_model(app, model_path_);
    auto* input =
        app.add_option("INPUT", input_, "The input, as `qama classify` takes it.")->type_name("");
    app.add_option("--text", text_, "Explain this text, in place of INPUT.")
        ->type_name("TEXT")
        ->excludes(input);
    app.add_option("--html", html_,
                   "Write a page with Figures 3, 4 and 5 of the paper for this input to FILE.")
        ->type_name("FILE");
    run_.declare(app);
  }

  Status run(Console& console) override {
    if (input_.empty() && text_.empty())
      return Error{ErrorCode::usage, "explain needs an INPUT or --text"};
    QAMA_ASSIGN_OR_RETURN(const auto model, runtime::Model::open(model_path_));
    const weights::Architecture& a = model->architecture();
    if (!a.is_qama()) {
      return Error{ErrorCode::model_wrong_kind,
                   "model " + quote(model_path_) + " has " +
                       std::string(weights::name_of(a.attention.kind)) +
                       " attention, explain needs QAMA"};
    }
    QAMA_ASSIGN_OR_RETURN(const auto reader, runtime::SampleReader::create(model, model_path_));
    QAMA_ASSIGN_OR_RETURN(const runtime::Sample input,
                          text_.empty() ? reader.read(input_) : reader.text(text_, "--text"));
    run_.integers = true;
    QAMA_ASSIGN_OR_RETURN(const auto session, run_.open(model, model_path_, 1, console));
    Watcher watcher;
    watcher.all_tokens = static_cast<std::size_t>(a.tokens());
    runtime::Hooks hooks;
    hooks.recorder = &watcher;
    hooks.problems = &watcher;
    std::vector<float> logits(static_cast<std::size_t>(model->classes()));
    QAMA_RETURN_IF_ERROR(runtime::run_sample(*session, input, logits, hooks));
    std::vector<double> p(logits.size());
    QAMA_RETURN_IF_ERROR(runtime::softmax(logits, p));
    const std::int32_t answer = runtime::argmax(logits);
    runtime::SolveCounter solvers;
    solvers.add(*session, 0);
    const std::string verdict = std::string(model->label(answer)) +
                                format(", %.1f %%", 100 * p[static_cast<std::size_t>(answer)]);

    if (!html_.empty())
      QAMA_RETURN_IF_ERROR(write_page(*model, input, watcher.layers, verdict, solvers.text()));
    if (console.json) {
      report_json(console, *session, watcher.layers, answer, p, solvers);
    } else {
      report_text(console, watcher.layers, verdict, solvers.text());
    }
    return {};
  }

 private:
  [[nodiscard]] const std::string& name() const { return input_.empty() ? text_ : input_; }

  void report_json(Console& console, const runtime::Session& session,
                   const std::vector<Layer>& layers, std::int32_t answer,
                   const std::vector<double>& p, const runtime::SolveCounter& solvers) const {
    const auto grid = [](const Layer& layer, const auto& values) {
      Json rows = Json::array();
      const std::size_t n = values.size() / static_cast<std::size_t>(layer.heads);
      for (std::size_t t = 0; t < static_cast<std::size_t>(layer.heads); ++t) {
        Json row = Json::array();
        for (std::size_t i = 0; i < n; ++i) row.push_back(values[t * n + i]);
        rows.push_back(std::move(row));
      }
      return rows;
    };
    Json out;
    out["model"] = model_path_;
    out["input"] = name();
    out["label"] = session.model().label(answer);
    out["class"] = answer;
    out["probability"] = p[static_cast<std::size_t>(answer)];
    out["device"] = session.device()->info().uri;
    out["solved_by"] = solvers.solved_by();
    out["seed"] = session.seed();
    out["bits"] = layers.empty() ? 1 : layers.front().bits;
    for (const char* key : {"energy", "energy_without_penalty", "masks", "flip_energies",
                            "mean_flip_energy", "least_flip_energy", "token_energies", "output"}) {
      out[key] = Json::array();
    }
    for (const Layer& layer : layers) {
      out["energy"].push_back(layer.energy);
      out["energy_without_penalty"].push_back(layer.pure_energy);
      out["masks"].push_back(grid(layer, layer.mask));
      out["flip_energies"].push_back(grid(layer, layer.flip_energy));
      out["mean_flip_energy"].push_back(moments(layer.flip_energy).mean);
      out["least_flip_energy"].push_back(
          *std::min_element(layer.flip_energy.begin(), layer.flip_energy.end()));
      out["token_energies"].push_back(grid(layer, layer.token_energy));
      const Moments m = moments(layer.output);
      out["output"].push_back({{"mean", m.mean}, {"deviation", m.deviation}});
    }
    console.object(out);
  }

  void report_text(Console& console, const std::vector<Layer>& layers, const std::string& verdict,
                   const std::string& solved_by) const {
    console.line(name() + ": " + verdict + "  (" + solved_by + ")");
    for (const Layer& layer : layers) {
      const auto chosen = std::count_if(layer.mask.begin(), layer.mask.end(),
                                        [](std::int32_t level) { return level != 0; });
      const double least = *std::min_element(layer.flip_energy.begin(), layer.flip_energy.end());
      const Moments m = moments(layer.output);
      console.line(format(
          "layer %d: energy %.4f (without penalty %.4f); %td of %zu %s selected; a flip "
          "costs %.4f on average, "
          "%.4f at least; output mean %.3f, deviation %.3f",
          layer.block, layer.energy, layer.pure_energy, chosen, layer.mask.size(),
          layer.bits == 1 ? "spins" : "tokens", moments(layer.flip_energy).mean - layer.energy,
          least - layer.energy, m.mean, m.deviation));
      for (std::int32_t t = 0; t < layer.heads; ++t) {
        std::string line = format("  head %d  ", t);
        for (std::int32_t i = 0; i < layer.tokens; ++i) {
          line +=
              mark(layer.mask[static_cast<std::size_t>(t) * static_cast<std::size_t>(layer.tokens) +
                              static_cast<std::size_t>(i)],
                   layer.top());
        }
        console.line(line);
      }
    }
  }

  /// '.' for nothing of a token, '#' for all of it, tenths from 1 to 9 between.
  static char mark(std::int32_t level, std::int32_t top) {
    if (level == 0) return '.';
    return level == top ? '#' : static_cast<char>('0' + std::clamp(10 * level / top, 1, 9));
  }

  // -- the page

  /// A cell's style: from dark (nothing of the token selected) to clear, over the picture or yellow
  /// without.
  static std::string shade(double part, bool picture) {
    const auto blend = [part](int dark, int clear) {
      return static_cast<int>(std::lround(dark + (clear - dark) * part));
    };
    if (!picture)
      return format("fill=\"#%02x%02x%02x\"", blend(0x2b, 0xff), blend(0x34, 0xd3),
                    blend(0x40, 0x4d));
    return format("fill=\"#%02x%02x%02x\" fill-opacity=\"%.2f\"", blend(0x10, 0xff),
                  blend(0x18, 0xd3), blend(0x20, 0x4d), 0.78 - 0.56 * part);
  }

  /// Tokens as cells over the picture; `cell` gives a cell's style from its index.
  template <typename Cell>
  static std::string token_grid(const weights::Architecture& a, std::int32_t tokens, bool picture,
                                int size, const Cell& cell) {
    const std::int32_t columns =
        a.is_image() ? a.grid_cols() / a.token_pool_cols : std::min(tokens, 32);
    const std::int32_t rows = (tokens + columns - 1) / columns;
    const double step = static_cast<double>(size) / columns;
    const double height = step * rows;
    std::string out = format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" viewBox=\"0 0 %d "
        "%.2f\">",
        size, height, size, height);
    if (picture) out += format("<use href=\"#input\" width=\"%d\" height=\"%.2f\"/>", size, height);
    for (std::int32_t i = 0; i < tokens; ++i) {
      out += format(
                 "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" stroke=\"#8893a0\" "
                 "stroke-width=\"0.3\" ",
                 step * (i % columns), step * (i / columns), step, step) +
             cell(static_cast<std::size_t>(i)) + "/>";
    }
    return out + "</svg>";
  }
  static std::string figure(const std::string& svg, const std::string& caption) {
    return "<figure>" + svg + "<figcaption>" + escaped(caption) + "</figcaption></figure>";
  }

  Status write_page(const runtime::Model& model, const runtime::Sample& input,
                    const std::vector<Layer>& layers, const std::string& verdict,
                    const std::string& solved_by) const {
    const weights::Architecture& a = model.architecture();
    HtmlPage page("What the heads selected: " + name(),
                  model_path_ + " says " + verdict + "; solved by " + solved_by);
    const bool picture = a.is_image();
    if (picture) page.markup(picture_symbol(a, input.pixels));
    for (const Layer& layer : layers) {
      const auto n = static_cast<std::size_t>(layer.tokens);
      const auto heads = static_cast<std::size_t>(layer.heads);
      page.heading("Layer " + std::to_string(layer.block) +
                   ": masks of the heads (the paper's Fig. 3)");
      page.text(layer.bits == 1 ? "A token that a head selected is clear, the others are dark."
                                : "The more of a token a head selected, the clearer it is.");
      std::string masks = "<div class=\"row\">";
      for (std::size_t t = 0; t < heads; ++t) {
        const std::span<const std::int32_t> levels(layer.mask.data() + t * n, n);
        const auto count = std::count_if(levels.begin(), levels.end(),
                                         [](std::int32_t level) { return level != 0; });
        masks +=
            figure(token_grid(a, layer.tokens, picture, picture ? 112 : 480,
                              [&](std::size_t i) {
                                return shade(static_cast<double>(levels[i]) / layer.top(), picture);
                              }),
                   "head " + std::to_string(t) + ": " + std::to_string(count) + " of " +
                       std::to_string(n));
      }
      if (picture)
        masks += figure(
            "<svg width=\"112\" height=\"112\"><use href=\"#input\" width=\"112\" "
            "height=\"112\"/></svg>",
            "input");
      page.markup(masks + "</div>");

      page.heading("Layer " + std::to_string(layer.block) +
                   ": energy of the tokens and output (Fig. 4)");
      std::vector<double> average(n);
      for (std::size_t k = 0; k < layer.token_energy.size(); ++k)
        average[k % n] += layer.token_energy[k] / static_cast<double>(heads);
      const auto ends = std::minmax_element(average.begin(), average.end());
      const double least = *ends.first;
      const double greatest = *ends.second;
      const double range = std::max(greatest - least, 1e-12);
      const Moments m = moments(layer.output);
      page.text(
          format("Energy without the penalty: %.2f in all. Output of the layer: mean %.3f, "
                 "standard deviation %.3f.",
                 layer.pure_energy, m.mean, m.deviation));
      page.markup("<div class=\"row\">" +
                  figure(token_grid(a, layer.tokens, false, picture ? 240 : 480,
                                    [&](std::size_t i) {
                                      return "fill=\"" + warmth((greatest - average[i]) / range) +
                                             "\"><title>" +
                                             format("token %zu: %.3f", i, average[i]) +
                                             "</title></rect><rect width=\"0\" height=\"0\" ";
                                    }),
                         format("energy a token, mean over the heads: red %.2f, blue %.2f", least,
                                greatest)) +
                  figure(histogram(layer.output, "values of the layer's output"),
                         "distribution of the layer's output") +
                  "</div>");

      page.heading("Layer " + std::to_string(layer.block) + ": energy after one flip (Fig. 5)");
      page.text(format(
          "Red plane: energy of the answer, %.2f. Surface: energy after flipping one spin, %.2f on "
          "average, %.2f at "
          "least; nothing below the plane means that no single flip makes the answer better.",
          layer.energy, moments(layer.flip_energy).mean,
          *std::min_element(layer.flip_energy.begin(), layer.flip_energy.end())));
      page.markup(surface_chart(layer.flip_energy, layer.heads, layer.tokens * layer.bits,
                                layer.energy, "head", layer.bits == 1 ? "token" : "bit of a token",
                                "energy"));
    }
    return page.write(html_);
  }

  std::string model_path_, input_, text_, html_;
  RunArguments run_;
};

}  // namespace

std::unique_ptr<Command> make_explain() {
  return std::make_unique<Explain>();
}

}  // namespace qama::cli
