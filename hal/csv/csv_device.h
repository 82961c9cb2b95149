// csv:DIR, an Ising machine that somebody operates by hand. Every problem is written into DIR as
// the matrix that the machine's vendor takes, and the job fails with a sentence that says what to
// upload. When the answer lies beside it, the same job reads it, checks it and goes on.
//
//   DIR/ID.csv          the 8-bit Ising matrix; ID begins the SHA-256 of the file
//   DIR/ID.json         the manifest: hash, order of the spins, scale
//   DIR/ID.answer.json  the vendor's JSON with solutionVector, or
//   DIR/ID.answer.csv   a row of 1 and -1 a sample
//
// csv:DIR?ancillas=1&spins=1000: 1 ancilla, as the vendor's SDK makes it (0: as many as suit the
// couplings), and a machine of 1000 spins.
#pragma once

#include <memory>
#include <string_view>

#include "hal/device.h"

namespace qama::hal::csv {

/// `rest` is what follows "csv:". Makes DIR. DEVICE_UNKNOWN for a wrong address, IO_ERROR.
///
/// Its jobs fail with NOT_FOUND where no answer is there yet, and with INVALID_ARGUMENT where an
/// answer or a problem file is not right or cannot be read or written: both are the operator's to
/// mend, so no other device takes over.
[[nodiscard]] Result<std::shared_ptr<Device>> open_csv_device(std::string_view rest);

}  // namespace qama::hal::csv
