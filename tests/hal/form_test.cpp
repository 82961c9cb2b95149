// The choice of a form: what wins where, at each threshold and one short of it, and that a device
// only gets what it takes.
#include "hal/form.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hal/device.h"
#include "tests/test_support.h"

namespace qama::hal::test {
namespace {

constexpr FormSet kAll = {Form::dense, Form::planes, Form::sparse, Form::factors};

Form layer(std::int32_t heads, std::int32_t tokens, std::int32_t rank, FormSet forms = kAll,
           std::int32_t rounds = 0) {
  return choose_form(
      {.shape = {heads, tokens}, .rank = rank, .schedule = {.rounds = rounds}, .forms = forms});
}

Form graph(std::int32_t spins, std::int64_t neighbours, std::int32_t values,
           std::int64_t restarts = 32, FormSet forms = kAll, std::int32_t rounds = 0) {
  return choose_form({.shape = {1, spins},
                      .edges = spins * neighbours / 2,
                      .values = values,
                      .restarts = restarts,
                      .schedule = {.rounds = rounds},
                      .forms = forms});
}

TEST(ChooseForm, LayersOfOneHead) {
  EXPECT_EQ(layer(1, 1, kFactorsRank), Form::dense);
  EXPECT_EQ(layer(1, 2, kFactorsRank), Form::factors);
  EXPECT_EQ(layer(1, kFactorsTokensOfLowRank - 1, kFactorsRank - 1), Form::dense);
  EXPECT_EQ(layer(1, kFactorsTokensOfLowRank, kFactorsRank - 1), Form::factors);
  EXPECT_EQ(layer(1, 512, kMaxRankLimit), Form::factors);
  EXPECT_EQ(layer(1, 512, kMaxRankLimit + 1), Form::dense);
}

TEST(ChooseForm, LayersOfSeveralHeads) {
  EXPECT_EQ(layer(2, kFactorsTokensOfManyHeads - 1, 64), Form::dense);
  EXPECT_EQ(layer(2, kFactorsTokensOfManyHeads, 64), Form::factors);
}

// Only the dense form knows rounds, as far as it goes.
TEST(ChooseForm, Rounds) {
  EXPECT_EQ(layer(1, 512, 64, kAll, 3), Form::dense);
  EXPECT_EQ(layer(8, kMaxDenseTokens, 64, kAll, 3), Form::dense);
  EXPECT_EQ(layer(8, kMaxDenseTokens + 1, 64, kAll, 3), Form::factors);
  EXPECT_EQ(graph(1000, 4, 2, 32, kAll, 3), Form::dense);
  EXPECT_EQ(graph(1000, 999, 2, 32, kAll, 3), Form::dense);
}

TEST(ChooseForm, FirstFactorsTokensIsWhereTheChoiceChanges) {
  for (const std::int32_t heads : {1, 2, 8}) {
    for (const std::int32_t rank : {1, 16, 63, 64, 100}) {
      for (const std::int32_t rounds : {0, 1}) {
        const std::int32_t first = first_factors_tokens(heads, rank, rounds);
        EXPECT_EQ(layer(heads, first - 1, rank, kAll, rounds), Form::dense) << heads << rank;
        EXPECT_EQ(layer(heads, first, rank, kAll, rounds), Form::factors) << heads << rank;
      }
    }
  }
}

TEST(ChooseForm, Graphs) {
  // Few values: bit planes are what rows of neighbours compete with.
  EXPECT_EQ(graph(1000, kSparseNeighbours, kPlaneValues), Form::sparse);
  EXPECT_EQ(graph(1000, kSparseNeighbours + 2, kPlaneValues), Form::planes);
  // Many values: 16-bit numbers.
  EXPECT_EQ(graph(1000, 124, kPlaneValues + 1), Form::sparse);
  EXPECT_EQ(graph(1000, 126, kPlaneValues + 1), Form::dense);
  // Few restarts do not fill the lanes.
  EXPECT_EQ(graph(1000, 4, 3, kSparseRestarts - 1), Form::planes);
  EXPECT_EQ(graph(kSparseAlwaysSpins, 4, 3, 1), Form::sparse);
  // Too large for a matrix.
  EXPECT_EQ(graph(kMaxDenseTokens + 1, 5000, 9, 1), Form::sparse);
  // A head of one word gains nothing from planes.
  EXPECT_EQ(graph(kPlaneSpins - 1, 60, 2, 1), Form::dense);
  EXPECT_EQ(graph(kPlaneSpins, 60, 2, 1), Form::planes);
}

TEST(ChooseForm, OnlyWhatTheDeviceTakes) {
  EXPECT_EQ(layer(1, 512, 64, {Form::dense}), Form::dense);
  EXPECT_EQ(graph(1000, 4, 3, 32, {Form::dense}), Form::dense);
  EXPECT_EQ(graph(1000, 4, 3, 32, {Form::dense, Form::planes}), Form::planes);
}

TEST(Forms, OfDevicesAreThoseOfTheirScheme) {
  ASSERT_OK_AND_ASSIGN(const auto cpu, open_device("cpu:"));
  ASSERT_OK_AND_ASSIGN(const auto scalar, open_device("cpu:scalar"));
  ASSERT_OK_AND_ASSIGN(const auto exact, open_device("exact:"));
  for (const auto& [name, form] : kFormNames) {
    EXPECT_EQ(forms_of("cpu:").has(form), cpu->forms().has(form)) << name;
    EXPECT_EQ(forms_of("exact:").has(form), exact->forms().has(form)) << name;
    EXPECT_EQ(forms_of("cim://host:7010").has(form), form == Form::dense) << name;
    EXPECT_FALSE(forms_of("nobody:").has(form)) << name;
    EXPECT_EQ(parse_form(name).value(), form);
    EXPECT_EQ(name_of(form), name);
  }
  EXPECT_FALSE(scalar->forms().has(Form::planes));
  EXPECT_ERROR(unsupported, scalar->compile({{1, 100}, Form::planes}));
  EXPECT_ERROR(unsupported, exact->compile({{1, 5}, Form::sparse}));
  EXPECT_ERROR(invalid_argument, parse_form("matrix"));
}

}  // namespace
}  // namespace qama::hal::test
