// Workspaces: the memory that an attention operator needs for one sample, described once. A
// workspace is a struct of pointers; the table beside it has one row a piece: name, pointer, number
// of elements, and the parts of the layer that read or write it. The engine makes regions and
// lifetimes from the table, tests and benches an OwnedWorkspace. To add a piece: its pointer and
// its row.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "hal/base/aligned.h"

namespace qama::ops {

/// The parts of a layer: what comes before the device, the device, what comes after it.
inline constexpr unsigned kFront = 1, kSolve = 2, kBack = 4;

/// One row of a workspace's table.
template <typename WorkspaceType, typename SizesType, typename T>
struct Piece {
  using Workspace = WorkspaceType;
  using Sizes = SizesType;
  using Element = T;
  std::string_view name;
  T* Workspace::*pointer = nullptr;
  std::int64_t (*count)(const Sizes&) = nullptr;  ///< elements
  unsigned parts = 0;  ///< kFront, kSolve, kBack: it lives from the first of them to the last
};

template <const auto& table>
using FirstPiece = std::tuple_element_t<0, std::remove_cvref_t<decltype(table)>>;
template <const auto& table>
using WorkspaceOf = typename FirstPiece<table>::Workspace;
template <const auto& table>
using SizesOf = typename FirstPiece<table>::Sizes;
template <const auto& table>
inline constexpr std::size_t kPieces = std::tuple_size_v<std::remove_cvref_t<decltype(table)>>;

/// Calls visit.operator()<i>(row i) for every row.
template <const auto& table, typename Visitor>
constexpr void for_each_piece(Visitor&& visit) {
  [&]<std::size_t... i>(std::index_sequence<i...>) {
    (visit.template operator()<i>(std::get<i>(table)), ...);
  }
  (std::make_index_sequence<kPieces<table>>());
}

/// A workspace with memory of its own, every piece 64-byte aligned and 0.
template <const auto& table>
class OwnedWorkspace {
 public:
  explicit OwnedWorkspace(const SizesOf<table>& sizes) {
    std::array<std::size_t, kPieces<table>> offsets{};
    std::size_t bytes = 0;
    for_each_piece<table>([&]<std::size_t i, typename Row>(const Row& row) {
      offsets[i] = bytes;
      bytes += round_up(static_cast<std::size_t>(row.count(sizes)) * sizeof(typename Row::Element),
                        kAlignment);
    });
    memory_.resize(bytes);
    for_each_piece<table>([&]<std::size_t i, typename Row>(const Row& row) {
      view_.*row.pointer = reinterpret_cast<typename Row::Element*>(memory_.data() + offsets[i]);
    });
  }
  [[nodiscard]] const WorkspaceOf<table>& view() const noexcept { return view_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return memory_.size(); }

 private:
  AlignedBuffer<std::byte> memory_;
  WorkspaceOf<table> view_;
};

}  // namespace qama::ops
