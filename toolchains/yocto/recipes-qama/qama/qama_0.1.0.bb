SUMMARY = "Inference runtime for transformers with quantum annealing attention"
LICENSE = "Apache-2.0 & BSD-3-Clause"
LIC_FILES_CHKSUM = " \
    file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57 \
    file://third-party/LICENSE.xsimd;md5=83b2e8b3266206911211c82f6ec9747e \
    file://third-party/LICENSE.xtl;md5=aa7b2c5cf41f6e6b22176e4a3d433060 \
"

# What toolchains/source-archive wrote; nothing is fetched from a network.
FILESEXTRAPATHS:prepend := "${THISDIR}/../../../../build:"
SRC_URI = "file://qama-${PV}.tar.gz"
S = "${UNPACKDIR}/qama-${PV}"
# Releases before styhead unpack into WORKDIR.
UNPACKDIR ??= "${WORKDIR}"

DEPENDS = "cli11 jpeg libmd libpng libsodium nlohmann-json zlib"
PACKAGECONFIG ??= "webp gif"
PACKAGECONFIG[webp] = "-DQAMA_WITH_WEBP=ON,-DQAMA_WITH_WEBP=OFF,libwebp"
PACKAGECONFIG[gif] = "-DQAMA_WITH_GIF=ON,-DQAMA_WITH_GIF=OFF,giflib"

inherit cmake pkgconfig

EXTRA_OECMAKE = " \
    -DQAMA_BOOTSTRAP=OFF \
    -DQAMA_BUILD_TESTS=OFF \
    -DQAMA_BUILD_BENCH=OFF \
    -DQAMA_LINEAR=packed \
    -DQAMA_WITH_CIM=OFF \
    -DQAMA_WITH_TIFF=OFF \
"

# The models are 45 MB: an image takes them with IMAGE_INSTALL += "qama-models".
PACKAGES =+ "${PN}-models ${PN}-python"
FILES:${PN}-models = "${datadir}/qama/models"
FILES:${PN}-python = "${nonarch_libdir}/python3"
FILES:${PN} += "${datadir}/zsh ${datadir}/fish ${datadir}/bash-completion"
