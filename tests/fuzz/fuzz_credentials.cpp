// Fuzz target: the files of keys, certificates and passwords, as both ends of the link and the
// vendor's driver read them. No error may say what is in them.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "hal/cim/link_stream.h"
#include "hal/cim/vendor_options.h"
#include "hal/network/tls_server.h"
#include "tests/fuzz/fuzz_files.h"

namespace {

constexpr std::size_t kLongSecret = 8;  // shorter ones may stand in a sentence by chance

/// `path`: of the file with this content.
void check(const qama::Error& error, const std::string& path, std::string_view content) {
  if (error.message.empty()) std::abort();
  // Of this sentence every part may be a file's content.
  const std::string ours = "'" + path + "': expected 'identity:' and 16 to 48 bytes in hexadecimal";
  const std::size_t colon = content.find(':');
  for (std::string_view secret : {content, content.substr(colon + 1)}) {
    secret = secret.substr(0, secret.find('\n'));
    if (secret.size() >= kLongSecret && ours.find(secret) == std::string::npos &&
        error.message.find(secret) != std::string::npos) {
      std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const auto parts = qama::fuzz::parts_of({data + 1, size - 1}, 3);
  const auto part = [&parts](std::size_t i) { return parts[i < parts.size() ? i : 0]; };
  const std::string content = qama::fuzz::text_of(part(0));
  const qama::fuzz::MemoryFile first(part(0));
  qama::hal::cim::Endpoint endpoint;
  endpoint.host = "127.0.0.1";
  endpoint.port = 1;
  endpoint.tls = true;
  qama::platform::TlsFiles& files = endpoint.files;
  files.others_may = true;  // a file in memory is open to all
  switch (data[0] % 3) {
    case 0: {
      files.psk_file = first.path();
      break;
    }
    case 1: {
      const auto parsed = qama::hal::cim::parse_vendor_options(
          "127.0.0.1:1?user=u&insecure_permissions=1&password_file=" + first.path(), false);
      if (!parsed.ok()) check(parsed.error(), first.path(), content);
      if (parsed.ok() && parsed->password.view().find('\n') != std::string_view::npos) std::abort();
      return 0;
    }
    default:
      break;
  }
  const qama::fuzz::MemoryFile second(part(1)), third(part(2));
  if (files.psk_file.empty()) {
    files.certificate = first.path();
    files.key = second.path();
    files.authority = third.path();
  }
  const auto driver = qama::hal::cim::StreamFactory::create(endpoint);
  const auto server = qama::network::make_tls_server(files);
  if (!driver.ok()) check(driver.error(), first.path(), content);
  if (!server.ok()) check(server.error(), first.path(), content);
  // Both ends take the same key files, or one of them would be of no use.
  if (!files.psk_file.empty() && driver.ok() != server.ok()) std::abort();
  return 0;
}
