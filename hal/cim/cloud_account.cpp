#include "hal/cim/cloud_account.h"

namespace qama::hal::cim {

Result<CloudToken> CloudAccount::token(VendorHttp& http, std::uint64_t refused,
                                       TimePoint deadline) {
  const std::unique_lock lock(mutex_, deadline);
  if (!lock.owns_lock())
    return Error{ErrorCode::deadline_exceeded, "no time left to log in at the cloud"};
  if (token_.number > refused) return token_;
  const Secret body = cloud_login_body(options_.user_id, options_.sdk_code);
  QAMA_ASSIGN_OR_RETURN(
      Json data,
      http.send(options_.login, {"POST", "/sso/access_token/", body.view()}, Secret(), deadline));
  wipe(http.reply().text());
  QAMA_ASSIGN_OR_RETURN(token_.text, take_token(data, {"token"}, options_.login.name));
  token_.emulated = member(data, "is_emulated") == true;
  ++token_.number;
  return token_;
}

}  // namespace qama::hal::cim
