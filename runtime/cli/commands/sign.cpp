// `qama sign`: signs a model file with a secret key. Whoever opens the model with --trust and the
// public key gets this file or an error.
#include "hal/base/quote.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/files.h"
#include "runtime/cli/report.h"
#include "weights/model_file.h"
#include "weights/signature.h"

namespace qama::cli {
namespace {

class Sign final : public Command {
 public:
  CommandText text() const override {
    return {
        .summary = "Sign a model file: its signature is the file MODEL.sig.",
        .notes =
            "Keys are Ed25519 keys in PEM. OpenSSL makes a pair:\n"
            "  openssl genpkey -algorithm ed25519 -out KEY.pem && chmod 600 KEY.pem\n"
            "  openssl pkey -in KEY.pem -pubout -out KEY.pub\n"
            "The commands that open a model take --trust KEY.pub. They refuse a model that this "
            "key did not sign.\n",
        .examples =
            "qama sign MODEL --key KEY.pem\n"
            "qama classify -m MODEL --trust KEY.pub shoe.png\n"};
  }

  void declare(CLI::App& app) override {
    app.add_option("MODEL", path_, "The model file.")->required()->type_name("");
    app.add_option("--key", key_, "Sign with this secret key; only its owner may read it.")
        ->required()
        ->type_name("FILE");
  }

  Status run(Console& console) override {
    QAMA_ASSIGN_OR_RETURN(const auto model, weights::ModelFile::open(path_));
    if (!model->sealed()) {
      return Error{ErrorCode::model_unsupported_version,
                   "model " + quote(path_) +
                       " is not sealed: a signature would not cover its header; `qama info MODEL "
                       "--seal NEW` writes one that is"};
    }
    QAMA_ASSIGN_OR_RETURN(const weights::Signature signature,
                          weights::sign_seal(key_, model->sha256()));
    const std::string out = weights::signature_path(path_);
    QAMA_RETURN_IF_ERROR(check_output("the signature", out, {path_, key_}));
    QAMA_RETURN_IF_ERROR(write_file(out, std::as_bytes(std::span(signature))));
    if (console.json) {
      Json object;
      object["model"] = path_;
      object["sha256"] = model->sha256();
      object["out"] = out;
      console.object(object);
    } else {
      console.line("wrote " + out);
    }
    return {};
  }

 private:
  std::string path_, key_;
};

}  // namespace

std::unique_ptr<Command> make_sign() {
  return std::make_unique<Sign>();
}

}  // namespace qama::cli
