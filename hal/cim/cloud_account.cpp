#include "hal/cim/cloud_account.h"

#include <utility>

namespace qama::hal::cim {

/// Of one that logs in, who found nobody else at it.
class CloudAccount::Turn {
 public:
  explicit Turn(CloudAccount& account) noexcept : account_(account) {}
  ~Turn() {
    {
      const std::lock_guard lock(account_.mutex_);
      account_.busy_ = false;
    }
    account_.free_.notify_one();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  CloudAccount& account_;
};

Result<CloudToken> CloudAccount::token(VendorHttp& http, std::uint64_t refused,
                                       TimePoint deadline) {
  std::uint64_t last = 0;
  {
    std::unique_lock lock(mutex_);
    if (!free_.wait_until(lock, deadline, [this] { return !busy_; }))
      return Error{ErrorCode::deadline_exceeded, "no time left to log in at the cloud"};
    if (token_.number > refused) {
      // Others that wait have no login to wait for either.
      free_.notify_one();
      return token_;
    }
    last = token_.number;
    busy_ = true;
  }
  const Turn turn(*this);
  QAMA_ASSIGN_OR_RETURN(CloudToken fresh, log_in(http, deadline));
  fresh.number = last + 1;
  const std::lock_guard lock(mutex_);
  token_ = std::move(fresh);
  return token_;
}

Result<CloudToken> CloudAccount::log_in(VendorHttp& http, TimePoint deadline) const {
  CloudToken out;
  const Secret body = cloud_login_body(options_.user_id, options_.sdk_code);
  QAMA_ASSIGN_OR_RETURN(
      Json data,
      http.send(options_.login, {"POST", "/sso/access_token/", body.view()}, Secret(), deadline));
  wipe(http.reply().text());
  QAMA_ASSIGN_OR_RETURN(out.text, take_token(data, {"token"}, options_.login.name));
  out.emulated = member(data, "is_emulated") == true;
  return out;
}

}  // namespace qama::hal::cim
