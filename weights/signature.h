// Signatures say who made a model file; its seal only says that it is whole. A signature is a file
// beside the model, MODEL.sig, of 64 bytes: Ed25519 (RFC 8032) over signed_text() of the seal. So
// the model stays the same file, signed or not, and any tool with Ed25519 can make or check one.
// Keys are PEM files as `openssl genpkey -algorithm ed25519` writes them.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "hal/base/result.h"

namespace qama::weights {

inline constexpr std::size_t kSignatureBytes = 64;
using PublicKey = std::array<unsigned char, 32>;
using Signature = std::array<unsigned char, kSignatureBytes>;

/// "qama model sha256 ", the 64 digits of a seal, and a newline: no other file says this.
[[nodiscard]] std::string signed_text(std::string_view seal);

/// Where the signature of a model file is.
[[nodiscard]] std::string signature_path(const std::string& model_path);

/// The public key in a PEM file (BEGIN PUBLIC KEY). NOT_FOUND, IO_ERROR; INVALID_ARGUMENT for
/// anything but one Ed25519 key, a secret key included.
[[nodiscard]] Result<PublicKey> read_public_key(const std::string& path);

/// Signs a seal with the secret key in a PEM file (BEGIN PRIVATE KEY, not encrypted); nothing of
/// the key stays in memory. NOT_FOUND; IO_ERROR, also if others than the owner may read or write
/// the file; INVALID_ARGUMENT for anything but one Ed25519 key.
[[nodiscard]] Result<Signature> sign_seal(const std::string& key_path, std::string_view seal);

/// Checks the file signature_path(model_path). MODEL_NOT_TRUSTED if it is missing, has another size
/// or is not the key's for this seal.
[[nodiscard]] Status check_signature(const PublicKey& key, const std::string& model_path,
                                     std::string_view seal);

}  // namespace qama::weights
