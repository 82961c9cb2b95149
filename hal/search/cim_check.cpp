#include "hal/search/cim_check.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <deque>

#include "hal/base/sentence.h"
#include "hal/device.h"
#include "hal/lower/decode.h"
#include "hal/search/solve.h"

namespace qama::hal {
namespace {

constexpr double kTolerated = 0.1;   // per cent of the energy
constexpr double kTypicalSteps = 8;  // what copies are to give the typical coupling
constexpr double kMostCopies = 1e6;  // of a spin that are counted
constexpr std::int64_t kMostPairs = std::int64_t{1} << 26;
constexpr std::int64_t kRestarts = 64;
constexpr std::int64_t kExactLimit = 24;
/// Below it the scale, at most 127 ancillas over the largest weight, could be infinite.
constexpr double kLeastWeight = 1e-298;

/// E = C - sum W sigma sigma - sum F sigma, to be minimised.
struct Signs {
  std::int32_t size = 0;
  std::vector<double> fields;
  std::vector<Edge> pairs;  ///< first < second, sorted, each once, unequal 0
};

void merge(std::vector<Edge>& pairs) {
  std::sort(pairs.begin(), pairs.end(), [](const Edge& a, const Edge& b) {
    return a.first != b.first ? a.first < b.first : a.second < b.second;
  });
  std::size_t kept = 0;
  for (const Edge& pair : pairs) {
    if (kept > 0 && pairs[kept - 1].first == pair.first && pairs[kept - 1].second == pair.second) {
      pairs[kept - 1].weight += pair.weight;
    } else {
      pairs[kept++] = pair;
    }
  }
  pairs.resize(kept);
  std::erase_if(pairs, [](const Edge& pair) { return pair.weight == 0; });
}

/// w x_i x_j, or w x_i where both are one, with x = (1 + sigma) / 2.
void add_binary(Signs& out, std::int32_t i, std::int32_t j, double w) {
  const auto a = static_cast<std::size_t>(i);
  const auto b = static_cast<std::size_t>(j);
  if (i == j) {
    out.fields[a] -= w / 2;
    return;
  }
  out.fields[a] -= w / 4;
  out.fields[b] -= w / 4;
  out.pairs.push_back({i, j, -w / 4});
}

Result<Signs> signs_of_layer(const QamaLayer& layer) {
  const std::int64_t heads = layer.heads;
  const std::int64_t tokens = layer.tokens;
  if (heads * tokens * (tokens + heads) / 2 > kMostPairs) {
    return make_error(ErrorCode::problem_too_large, "a layer of ", heads, " x ", tokens,
                      " spins has too many couplings to be checked, expected at most ", kMostPairs);
  }
  Signs out;
  out.size = static_cast<std::int32_t>(heads * tokens);
  out.fields.assign(static_cast<std::size_t>(out.size), 0.0);
  const auto rank = static_cast<std::size_t>(layer.rank);
  for (std::int32_t t = 0; t < layer.heads; ++t) {
    const double* signs = layer.signs.data() + static_cast<std::size_t>(t) * rank;
    for (std::int32_t i = 0; i < layer.tokens; ++i) {
      const std::int32_t own = t * layer.tokens + i;
      const double* row = layer.factors.data() + static_cast<std::size_t>(own) * rank;
      add_binary(out, own, own, -layer.rho * layer.fields[static_cast<std::size_t>(own)]);
      for (std::int32_t j = i + 1; j < layer.tokens; ++j) {
        const double* other =
            layer.factors.data() + static_cast<std::size_t>(t * layer.tokens + j) * rank;
        double sum = 0;
        for (std::size_t d = 0; d < rank; ++d) sum += signs[d] * row[d] * other[d];
        add_binary(out, own, t * layer.tokens + j, -sum);
      }
      for (std::int32_t u = t + 1; u < layer.heads; ++u)
        add_binary(out, own, u * layer.tokens + i, layer.lambda);
    }
  }
  return out;
}

Result<Signs> signs_of(const ProblemFile& file) {
  Signs out;
  if (file.kind == ProblemKind::qama) {
    QAMA_ASSIGN_OR_RETURN(out, signs_of_layer(file.layer));
  } else {
    out.size = file.graph.size;
    out.fields.assign(static_cast<std::size_t>(out.size), 0.0);
    const double sign = file.kind != ProblemKind::maxcut && file.maximise ? -1 : 1;
    for (const Edge& edge : file.graph.edges) {
      if (file.kind == ProblemKind::qubo) {
        add_binary(out, edge.first, edge.second, sign * edge.weight);
      } else if (file.kind == ProblemKind::maxcut) {
        out.pairs.push_back({edge.first, edge.second, -edge.weight / 2});
      } else if (edge.first == edge.second) {
        out.fields[static_cast<std::size_t>(edge.first)] -= sign * edge.weight;
      } else {
        out.pairs.push_back({edge.first, edge.second, -sign * edge.weight});
      }
    }
  }
  merge(out.pairs);
  return out;
}

double largest_of(const std::vector<Edge>& pairs) {
  double out = 0;
  for (const Edge& pair : pairs) out = std::max(out, std::fabs(pair.weight));
  return out;
}
double largest_of(const std::vector<double>& values) {
  double out = 0;
  for (const double value : values) out = std::max(out, std::fabs(value));
  return out;
}

std::string digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

/// PROBLEM_BAD_VALUE where a sum of weights, or the scale that makes steps of them, is infinite.
Status check_range(const Signs& signs) {
  double sum = 0;
  for (const Edge& pair : signs.pairs) sum += std::fabs(pair.weight);
  for (const double field : signs.fields) sum += std::fabs(field);
  if (!std::isfinite(sum))
    return Error{ErrorCode::problem_bad_value, "the weights of a problem sum up to infinity"};
  const double largest = std::max(largest_of(signs.pairs), largest_of(signs.fields));
  if (largest == 0 || largest >= kLeastWeight) return {};
  return make_error(ErrorCode::problem_bad_value, "the largest weight of a problem is ",
                    digits(largest), " in signs, expected 0 or at least ", digits(kLeastWeight));
}

/// - sum W sigma sigma - sum F sigma. All answers together have a mean of 0, so the least is below
/// 0 unless all weights are 0.
double energy_in_signs(const Signs& signs, const std::vector<std::uint64_t>& flat) {
  const auto sign_of = [&](std::int32_t spin) {
    const auto at = static_cast<std::size_t>(spin);
    return ((flat[at / 64] >> (at % 64)) & 1U) != 0 ? 1.0 : -1.0;
  };
  double sum = 0;
  for (const Edge& pair : signs.pairs)
    sum -= pair.weight * sign_of(pair.first) * sign_of(pair.second);
  for (std::int32_t i = 0; i < signs.size; ++i)
    sum -= signs.fields[static_cast<std::size_t>(i)] * sign_of(i);
  return sum;
}

/// A problem without fields may have its ancilla among its spins, as the vendor's CSV does: one
/// spin without which the largest coupling is less than half as large, and that half of the others
/// are coupled to. -1: there is none.
std::int32_t given_ancilla(const Signs& signs) {
  if (signs.pairs.empty() || largest_of(signs.fields) != 0) return -1;
  const auto top = std::max_element(
      signs.pairs.begin(), signs.pairs.end(),
      [](const Edge& a, const Edge& b) { return std::fabs(a.weight) < std::fabs(b.weight); });
  for (const std::int32_t spin : {top->second, top->first}) {
    double rest = 0;
    std::int64_t partners = 0;
    for (const Edge& pair : signs.pairs) {
      if (pair.first == spin || pair.second == spin) {
        ++partners;
      } else {
        rest = std::max(rest, std::fabs(pair.weight));
      }
    }
    if (2 * rest < std::fabs(top->weight) && 2 * partners >= signs.size - 1) return spin;
  }
  return -1;
}

/// The same problem with that spin held at +1.
Signs hold(const Signs& signs, std::int32_t spin) {
  Signs out;
  out.size = signs.size;
  out.fields = signs.fields;
  for (const Edge& pair : signs.pairs) {
    if (pair.first == spin) {
      out.fields[static_cast<std::size_t>(pair.second)] += pair.weight;
    } else if (pair.second == spin) {
      out.fields[static_cast<std::size_t>(pair.first)] += pair.weight;
    } else {
      out.pairs.push_back(pair);
    }
  }
  return out;
}

/// Spins that are not decided by this: a spin whose field is at least as large as all its couplings
/// to undecided spins takes its field's sign, and its couplings become fields of its neighbours.
std::int64_t undecided_of(const Signs& signs) {
  const auto size = static_cast<std::size_t>(signs.size);
  std::vector<double> field = signs.fields;
  std::vector<double> around(size, 0.0);
  std::vector<std::size_t> first(size + 1, 0);
  for (const Edge& pair : signs.pairs) {
    for (const std::int32_t end : {pair.first, pair.second}) {
      around[static_cast<std::size_t>(end)] += std::fabs(pair.weight);
      ++first[static_cast<std::size_t>(end) + 1];
    }
  }
  for (std::size_t i = 0; i < size; ++i) first[i + 1] += first[i];
  std::vector<std::size_t> next(first.begin(), first.end() - 1);
  std::vector<std::pair<std::size_t, double>> neighbours(2 * signs.pairs.size());
  for (const Edge& pair : signs.pairs) {
    const auto a = static_cast<std::size_t>(pair.first);
    const auto b = static_cast<std::size_t>(pair.second);
    neighbours[next[a]++] = {b, pair.weight};
    neighbours[next[b]++] = {a, pair.weight};
  }
  std::vector<bool> decided(size, false);
  std::deque<std::size_t> queue;
  for (std::size_t i = 0; i < size; ++i) queue.push_back(i);
  auto left = static_cast<std::int64_t>(size);
  while (!queue.empty()) {
    const std::size_t i = queue.front();
    queue.pop_front();
    // What rounding leaves of sums that cancel.
    const double slack = 1e-12 * (std::fabs(field[i]) + around[i]);
    if (decided[i] || std::fabs(field[i]) + slack < around[i]) continue;
    decided[i] = true;
    --left;
    const double sign = field[i] < 0 ? -1 : 1;
    for (std::size_t k = first[i]; k < first[i + 1]; ++k) {
      const auto& [j, weight] = neighbours[k];
      if (decided[j]) continue;
      field[j] += sign * weight;
      around[j] -= std::fabs(weight);
      queue.push_back(j);
    }
  }
  return left;
}

/// The largest power of two of which all values are whole multiples; 0 if all are 0.
double unit_of(const Signs& signs) {
  double unit = 0;
  const auto take = [&](double value) {
    if (value == 0) return;
    int exponent = 0;
    // 53 bits of the mantissa as a whole number.
    auto mantissa = static_cast<std::int64_t>(std::ldexp(std::frexp(value, &exponent), 53));
    exponent -= 53;
    while (mantissa % 2 == 0) {
      mantissa /= 2;
      ++exponent;
    }
    const double own = std::ldexp(1.0, exponent);
    unit = unit == 0 ? own : std::min(unit, own);
  };
  for (const Edge& pair : signs.pairs) take(pair.weight);
  for (const double field : signs.fields) take(field);
  return unit;
}

/// Rounds, counts, and leaves the rounded problem in `rounded`.
CimRounding round_with(const Signs& signs, std::int32_t ancillas, Signs& rounded) {
  CimRounding out;
  const double coupling = largest_of(signs.pairs);
  const double field = largest_of(signs.fields);
  out.ancillas = field > 0 ? ancillas : 0;
  const double most_field = 1.0 * kCimSteps * ancillas;
  double scale = coupling > 0 ? kCimSteps / coupling : 0;
  if (field > 0) scale = scale > 0 ? std::min(scale, most_field / field) : most_field / field;
  const double unit = unit_of(signs);
  if (unit > 0 && coupling / unit <= kCimSteps && field / unit <= most_field) {
    scale = std::floor(scale * unit * (1 + 1e-12)) / unit;
    out.exact = true;
  }
  out.scale = scale;
  out.steps.assign(kCimSteps + 1, 0);
  rounded = {};
  rounded.size = signs.size;
  double squares = 0;
  for (const Edge& pair : signs.pairs) {
    const double steps = std::nearbyint(pair.weight * scale);
    const auto level = static_cast<std::int32_t>(std::min(std::fabs(steps), 1.0 * kCimSteps));
    ++out.steps[static_cast<std::size_t>(level)];
    out.levels = std::max(out.levels, level);
    squares += steps * steps;
    if (steps == 0) {
      ++out.zeroed;
    } else {
      rounded.pairs.push_back({pair.first, pair.second, steps});
    }
  }
  if (!signs.pairs.empty()) {
    const auto count = static_cast<double>(signs.pairs.size());
    out.deviation = std::sqrt(squares / count);
    out.zeroed_share = static_cast<double>(out.zeroed) / count;
  }
  for (const double value : signs.fields) rounded.fields.push_back(std::nearbyint(value * scale));
  out.undecided = undecided_of(rounded);
  return out;
}

ProblemFile ising_of(const Signs& signs) {
  ProblemFile out;
  out.kind = ProblemKind::ising;
  out.graph.size = signs.size;
  std::size_t next = 0;
  for (std::int32_t i = 0; i < signs.size; ++i) {
    const double field = signs.fields[static_cast<std::size_t>(i)];
    if (field != 0) out.graph.edges.push_back({i, i, -field});
    for (; next < signs.pairs.size() && signs.pairs[next].first == i; ++next) {
      const Edge& pair = signs.pairs[next];
      out.graph.edges.push_back({pair.first, pair.second, -pair.weight});
    }
  }
  return out;
}

Result<BestAnswer> best_of(const Signs& signs, std::uint64_t seed) {
  const ProblemFile file = ising_of(signs);
  QAMA_ASSIGN_OR_RETURN(const auto device,
                        open_device(signs.size <= kExactLimit ? "exact:" : "cpu:"));
  SolveRequest request = default_request(file.kind);
  request.restarts = kRestarts;
  request.seed = seed;
  return solve(file, *device, request);
}

/// Answers as the file has them: spin i of head t is bit i of its words.
std::vector<std::uint64_t> by_heads(const ProblemFile& file,
                                    const std::vector<std::uint64_t>& flat) {
  const ProblemShape shape = file.shape();
  const auto words = static_cast<std::size_t>(words_per_head(shape.tokens));
  std::vector<std::uint64_t> out(static_cast<std::size_t>(shape.heads) * words, 0);
  for (std::int64_t at = 0; at < shape.spins(); ++at) {
    const auto from = static_cast<std::size_t>(at);
    if (((flat[from / 64] >> (from % 64)) & 1U) == 0) continue;
    const auto head = static_cast<std::size_t>(at / shape.tokens);
    const auto token = static_cast<std::size_t>(at % shape.tokens);
    out[head * words + token / 64] |= std::uint64_t{1} << (token % 64);
  }
  return out;
}

std::string text_of(const std::vector<std::uint64_t>& flat, std::int64_t size) {
  std::string out;
  for (std::int64_t at = 0; at < size; ++at) {
    const auto i = static_cast<std::size_t>(at);
    out += ((flat[i / 64] >> (i % 64)) & 1U) != 0 ? '1' : '0';
  }
  return out;
}

double value_in(const ProblemFile& file, const std::vector<std::uint64_t>& flat) {
  const std::vector<std::uint64_t> spins = by_heads(file, flat);
  return file.kind == ProblemKind::qama ? energy_of(file.layer, spins) : value_of(file, spins);
}

std::int64_t copies_for(const Signs& signs, const CimRounding& rounding) {
  if (signs.pairs.empty() || rounding.exact || rounding.deviation >= kTypicalSteps) return 0;
  double squares = 0;
  for (const Edge& pair : signs.pairs) squares += pair.weight * pair.weight;
  const double typical = std::sqrt(squares / static_cast<double>(signs.pairs.size()));
  const double scale = kTypicalSteps / typical;
  if (largest_of(signs.pairs) * scale <= kCimSteps) return 0;
  std::vector<double> largest(static_cast<std::size_t>(signs.size), 0.0);
  for (const Edge& pair : signs.pairs) {
    for (const std::int32_t end : {pair.first, pair.second}) {
      double& own = largest[static_cast<std::size_t>(end)];
      own = std::max(own, std::fabs(pair.weight));
    }
  }
  std::int64_t out = 0;
  for (const double own : largest) {
    const double parts = std::ceil(std::sqrt(own * scale / kCimSteps));
    if (parts > 1) out += static_cast<std::int64_t>(std::min(parts, kMostCopies)) - 1;
  }
  return out;
}

std::string counted(std::int64_t count, const char* one) {
  return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
}

/// What more ancillas give, as a sentence.
std::string mending(const CimCheck& check) {
  const CimRounding& more = check.more;
  std::string out;
  if (more.ancillas <= check.one.ancillas) {
    out = check.wanted_ancillas > more.ancillas ? "More ancillas would help, but the machine has "
                                                  "no spins for them."
                                                : "Ancillas do not mend it.";
  } else {
    out = counted(more.ancillas, "ancilla") +
          (check.solved && more.lost_percent > kTolerated ? " do not mend it: " : " mend it: ") +
          digits(100 * more.zeroed_share) + " % of the couplings are 0, " +
          digits(more.lost_percent) + " % of the energy is lost.";
    if (check.wanted_ancillas > more.ancillas) {
      out += " The whole range would take " + counted(check.wanted_ancillas, "ancilla") +
             ", the machine has " + counted(check.spare, "spin") + " for them.";
    }
  }
  if (check.copies > 0) {
    out += " A few couplings are far above the others: " + std::to_string(check.copies) +
           " further copies of spins would give the typical one 8 steps.";
  }
  return out;
}

void judge(CimCheck& check, std::int32_t machine_spins) {
  const CimRounding& one = check.one;
  const std::string with = one.ancillas > 0 ? "with one ancilla " : "";
  if (!check.fits) {
    check.verdict = CimVerdict::too_large;
    check.sentence = sentence("This does not fit: it needs ", check.spins + one.ancillas, " spins",
                              one.ancillas > 0 ? " with an ancilla" : "", ", the machine has ",
                              machine_spins, ".");
  } else if (check.couplings == 0) {
    check.verdict = CimVerdict::diagonal;
    check.sentence =
        "This is a diagonal: the machine adds nothing. No two spins are coupled, and one look at "
        "the signs of the fields solves it.";
  } else if (check.undecided == 0) {
    check.verdict = CimVerdict::decided;
    check.sentence =
        "The fields decide every spin: the machine adds nothing. Each is at least as large as the "
        "couplings that it does not follow from.";
  } else if (one.zeroed == check.couplings || one.undecided == 0) {
    check.verdict = CimVerdict::diagonal_at_eight_bits;
    check.sentence =
        one.zeroed == check.couplings
            ? "At eight bits " + with + "this is a diagonal: the machine adds nothing. All " +
                  counted(check.couplings, "coupling") + " become 0 beside the fields, " +
                  digits(one.lost_percent) + " % of the energy is lost. "
            : "At eight bits " + with + "the fields decide every spin: the machine adds nothing. " +
                  digits(100 * one.zeroed_share) + " % of the couplings become 0, " +
                  digits(one.lost_percent) + " % of the energy is lost. ";
    check.sentence += mending(check);
  } else if (one.lost_percent > kTolerated) {
    check.verdict = CimVerdict::coarse;
    check.sentence = "Eight bits " + with + "are too coarse: " + digits(100 * one.zeroed_share) +
                     " % of the couplings become 0, " + digits(one.lost_percent) +
                     " % of the energy is lost. " + mending(check);
  } else {
    check.verdict = CimVerdict::fine;
    check.sentence = "Eight bits " + with + "hold this problem: " + digits(100 * one.zeroed_share) +
                     " % of the couplings become 0, " + digits(one.lost_percent) +
                     " % of the energy is lost.";
  }
}

}  // namespace

std::string_view name_of(CimVerdict verdict) noexcept {
  constexpr std::string_view kNames[] = {
      "too large", "diagonal", "decided", "diagonal at eight bits", "coarse", "fine"};
  return kNames[static_cast<std::size_t>(verdict)];
}

Result<CimCheck> cim_check(const ProblemFile& file, const CimCheckOptions& options) {
  QAMA_ASSIGN_OR_RETURN(Signs signs, signs_of(file));
  QAMA_RETURN_IF_ERROR(check_range(signs));
  CimCheck out;
  const std::int32_t given = given_ancilla(signs);
  out.given_ancilla = given;
  if (given >= 0) signs = hold(signs, given);
  out.spins = signs.size - (given >= 0 ? 1 : 0);
  out.couplings = static_cast<std::int64_t>(signs.pairs.size());
  out.largest_coupling = largest_of(signs.pairs);
  out.largest_field = largest_of(signs.fields);
  out.undecided = undecided_of(signs);

  const bool has_fields = out.largest_field > 0;
  Signs with_one, with_more;
  out.one = round_with(signs, 1, with_one);
  out.fits = out.spins + out.one.ancillas <= options.machine_spins;
  out.spare =
      static_cast<std::int32_t>(std::max<std::int64_t>(options.machine_spins - out.spins, 0));
  if (has_fields) {
    const double wanted =
        out.couplings > 0 ? std::ceil(out.largest_field / out.largest_coupling - 1e-12) : 1;
    out.wanted_ancillas = static_cast<std::int32_t>(std::clamp(wanted, 1.0, 1e9));
    if (out.one.exact) out.wanted_ancillas = 1;
  }
  const std::int32_t taken = has_fields ? std::max(std::min(out.wanted_ancillas, out.spare), 1) : 1;
  out.more = round_with(signs, taken, with_more);
  out.copies = copies_for(signs, out.more);

  if (out.fits) {
    QAMA_ASSIGN_OR_RETURN(BestAnswer best, best_of(signs, options.seed));
    QAMA_ASSIGN_OR_RETURN(BestAnswer one, best_of(with_one, options.seed));
    BestAnswer more = one;  // the same problem
    if (taken > 1) {
      QAMA_ASSIGN_OR_RETURN(more, best_of(with_more, options.seed));
    }
    for (BestAnswer* answer : {&best, &one, &more}) {
      if (given >= 0)
        answer->spins[static_cast<std::size_t>(given) / 64] |= std::uint64_t{1} << (given % 64);
    }
    out.solved = true;
    out.proven = best.optimal;
    const double better = file.maximises() ? 1 : -1;
    const std::vector<std::uint64_t>* top = &best.spins;
    out.optimum = value_in(file, best.spins);
    out.one.value = value_in(file, one.spins);
    out.more.value = value_in(file, more.spins);
    for (const auto& [value, spins] :
         {std::pair{out.one.value, &one.spins}, {out.more.value, &more.spins}}) {
      if (out.proven || better * value <= better * out.optimum) continue;
      out.optimum = value;
      top = spins;
    }
    out.spins_of_optimum = text_of(*top, signs.size);
    out.one.spins = text_of(one.spins, signs.size);
    out.more.spins = text_of(more.spins, signs.size);
    // An offset would make any loss look small.
    double whole = std::fabs(out.optimum - file.offset);
    if (whole == 0) whole = std::fabs(energy_in_signs(signs, *top));
    for (CimRounding* rounding : {&out.one, &out.more}) {
      const double lost = better * (out.optimum - rounding->value);
      rounding->lost = lost > 0 ? lost : 0;
      if (lost > 0) rounding->lost_percent = 100 * (rounding->lost / whole);
    }
  }
  judge(out, options.machine_spins);
  return out;
}

}  // namespace qama::hal
