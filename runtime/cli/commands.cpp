#include "runtime/cli/command.h"

namespace qama::cli {
namespace {

constexpr CommandEntry kCommands[] = {
    {"classify", "classify images or texts",
     "Examples:\n"
     "  qama classify -m weights/models/fashion-mnist-qama.safetensors shoe.png\n"
     "  qama classify -m MODEL t10k-images-idx3-ubyte.gz:7 --json\n"
     "  qama classify -m weights/models/imdb-qama.safetensors --text \"What a film!\"\n"
     "  cat shoe.png | qama classify -m MODEL -\n",
     make_classify},
    {"eval", "accuracy and speed over a data set",
     "Examples:\n"
     "  qama eval -m weights/models/mnist-qama.safetensors --dataset mnist --data DIR\n"
     "  qama eval -m MODEL --dataset imdb --data DIR --limit 1000 --threads 4 --json\n"
     "  qama eval -m MODEL --dataset mnist --data DIR --record OUT 200   (problems for `qama "
     "solve`)\n",
     make_eval},
    {"profile", "where the time goes, on one or several devices",
     "Measured time (a clock), modelled time (an emulator's) and computed time (bytes over a rate) "
     "are\n"
     "never mixed in one column.\n"
     "Examples:\n"
     "  qama profile -m weights/models/fashion-mnist-qama.safetensors\n"
     "  qama profile -m MODEL --device cpu: --device cim://127.0.0.1:7010 --html profile.html\n"
     "  qama profile -m MODEL shoe.png --runs 1000 --csv runs.csv --trace trace.json --json\n",
     make_profile},
    {"explain", "what the heads selected for one input, and what a flip would cost",
     "Example:\n"
     "  qama explain -m MODEL shoe.png --html shoe.html\n",
     make_explain},
    {"solve", "solve one problem from a file",
     "Formats (white-space separated numbers):\n"
     "  qama    a QAMA layer in factor form, first word 'qama'\n"
     "  maxcut  'n m', then m times 'i j w', vertices from 1, whole weights; maximises the cut\n"
     "  qubo    'n m', then m times 'i j w', variables from 1, i = j is a linear term;\n"
     "          minimises the sum of w x_i x_j over x in {0,1}\n"
     "Without --format: 'qama' by its first word; else qubo for names in .qubo or .bqp and for\n"
     "files with a linear term; else maxcut.\n"
     "Examples:\n"
     "  qama solve layer.txt --sweeps 200 --restarts 64\n"
     "  qama solve G1.mc --time-limit 1000 --target 11624 --json\n"
     "  qama solve small.qubo --device exact:\n",
     make_solve},
    {"tune", "find the cheapest schedule of the annealer for a model's layers, and store it",
     "Labels are not looked at. The choice counts sweeps, not time: it is the same on every "
     "machine.\n"
     "Examples:\n"
     "  qama tune -m MODEL --dataset mnist --data DIR                  (only says what it found)\n"
     "  qama tune -m MODEL --dataset mnist --data DIR --share 95 --out NEW.safetensors\n",
     make_tune},
    {"info", "what is in a model file; refuses a bad one",
     "Examples:\n"
     "  qama info weights/models/mnist-qama.safetensors\n"
     "  qama info MODEL --json\n",
     make_info},
    {"verify", "compare every intermediate with PyTorch's",
     "Examples:\n"
     "  qama verify weights/models/mnist-qama.safetensors mnist-qama.golden.safetensors\n",
     make_verify},
    {"devices", "list the devices that can solve",
     "Examples:\n"
     "  qama devices\n",
     make_devices},
    {"device", "probe and describe one device",
     "Examples:\n"
     "  qama device cpu:\n"
     "  qama device cim://127.0.0.1:7010 --json\n",
     make_device},
};

}  // namespace

std::span<const CommandEntry> commands() noexcept {
  return kCommands;
}

}  // namespace qama::cli
