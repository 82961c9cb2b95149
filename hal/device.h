// The hardware abstraction: Driver registry -> Device -> Solver (compiled for one layer shape) ->
// jobs. A device is added by a folder of its own and one line in registry.cpp. Devices know
// integers and spins, never tensors or layers; fall-back between devices is fallback.h's
// business (fallback.h), never a device's secret.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "hal/problem.h"

namespace qama::hal {

/// What a device says of itself; fixed while it is open.
struct DeviceInfo {
  std::string uri;             ///< as opened: "cpu:avx512", "cim://127.0.0.1:7010"
  std::string name;            ///< for people
  std::string detail;          ///< why this kernel, firmware, ...: one sentence
  std::int64_t max_spins = 0;  ///< 0: bounded by memory only
  std::int32_t coupling_bits = 16;
  std::vector<std::string> encodings;  ///< "block_i16", "block_i8", "dense_i8", ...
  std::int32_t max_in_flight = 1;      ///< jobs a solver holds at the same time
  bool is_emulated = false;
  bool deterministic = true;  ///< same seed, same spins
};

enum class DeviceState : std::uint8_t { available, busy, calibrating, faulty, unreachable };
[[nodiscard]] std::string_view device_state_name(DeviceState state) noexcept;

/// The changing side of a device, from a probe.
struct DeviceHealth {
  DeviceState state = DeviceState::available;
  double round_trip_us = 0;
  std::string detail;
};

/// A device's work on one layer shape. Holds all scratch memory, so that submit/wait do not
/// allocate. Not thread-safe: one thread at a time; make one Solver a thread (Device is shared).
class Solver {
 public:
  virtual ~Solver() = default;

  /// Jobs that may be in flight: slots are 0 .. max_in_flight() - 1.
  [[nodiscard]] virtual std::int32_t max_in_flight() const noexcept { return 1; }

  /// Starts a job in a free slot. `problem`'s memory must stay unchanged until wait() returned. Its
  /// heads must equal the compiled shape's, its tokens must not exceed it. A synchronous device
  /// solves here.
  virtual Status submit(std::int32_t slot, const DenseView& problem,
                        const SolveOptions& options) = 0;

  /// Waits for the slot's job; fills `spins` ([heads][words_per_head(problem's tokens)]) and
  /// `result`. The slot is free afterwards, also on error. A failed job is an error value; later
  /// jobs go on.
  virtual Status wait(std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) = 0;

  /// Whether wait() on the slot would return without waiting for the device; gives it up to
  /// `timeout_us` to get there. A synchronous device is always ready.
  virtual bool wait_ready(std::int32_t slot, std::int64_t timeout_us) {
    (void)slot;
    (void)timeout_us;
    return true;
  }

  /// Asks for the slot's job to be dropped; wait() then returns CANCELLED (or the result, if it was
  /// faster). May be called while another thread is in wait().
  virtual void cancel(std::int32_t slot) noexcept { (void)slot; }

  /// submit and wait in one, slot 0.
  Status solve(const DenseView& problem, const SolveOptions& options,
               std::span<std::uint64_t> spins, SolveResult& result) {
    QAMA_RETURN_IF_ERROR(submit(0, problem, options));
    return wait(0, spins, result);
  }
};

/// A device's work on one shape of low-rank problems; the same rules as Solver, one job at a time.
class FactorsSolver {
 public:
  virtual ~FactorsSolver() = default;
  /// The problem's heads and rank must equal the compiled ones, its tokens must not exceed them.
  virtual Status solve(const FactorsView& problem, const SolveOptions& options,
                       std::span<std::uint64_t> spins, SolveResult& result) = 0;
  /// Bytes of scratch that the solver holds: linear in the tokens.
  [[nodiscard]] virtual std::size_t memory_bytes() const noexcept = 0;
};

/// A device's work on sparse problems up to a number of spins; the same rules as Solver, one job at
/// a time.
class SparseSolver {
 public:
  virtual ~SparseSolver() = default;
  /// The problem's spins must not exceed the compiled number. INVALID_ARGUMENT if the options ask
  /// for rounds.
  virtual Status solve(const SparseView& problem, const SolveOptions& options,
                       std::span<std::uint64_t> spins, SolveResult& result) = 0;
};

/// An open device. Thread-safe.
class Device {
 public:
  virtual ~Device() = default;
  [[nodiscard]] virtual const DeviceInfo& info() const noexcept = 0;
  [[nodiscard]] virtual Result<DeviceHealth> probe() = 0;
  /// Ok, or the reason why problems of this shape cannot be solved here.
  [[nodiscard]] virtual Status supports(const ProblemShape& shape) const = 0;
  /// All allocation for a layer shape happens here.
  [[nodiscard]] virtual Result<std::unique_ptr<Solver>> compile(const ProblemShape& shape) = 0;
  /// The same for low-rank problems; UNSUPPORTED where a device has no such form.
  [[nodiscard]] virtual Result<std::unique_ptr<FactorsSolver>> compile_factors(
      const ProblemShape& shape, std::int32_t rank);
  /// The same for sparse problems of up to `spins` spins; UNSUPPORTED where a device has no such
  /// form.
  [[nodiscard]] virtual Result<std::unique_ptr<SparseSolver>> compile_sparse(std::int32_t spins);
};

/// One line of `qama devices`.
struct DeviceListing {
  std::string uri;
  std::string description;
  bool usable = false;
  std::string reason;  ///< why it is (not) usable, or why it is the default
};

/// Opens a device by URI: "cpu:", "cpu:scalar", "exact:", ... DEVICE_UNKNOWN, DEVICE_UNAVAILABLE.
[[nodiscard]] Result<std::shared_ptr<Device>> open_device(std::string_view uri);

/// Every device that needs no address, with the reason for its state.
[[nodiscard]] std::vector<DeviceListing> list_devices();

}  // namespace qama::hal
