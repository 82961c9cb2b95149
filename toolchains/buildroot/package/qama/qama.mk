################################################################################
#
# qama
#
################################################################################

QAMA_VERSION = 0.1.0
QAMA_SITE = $(call qstrip,$(BR2_PACKAGE_QAMA_SITE))
QAMA_LICENSE = Apache-2.0, BSD-3-Clause (xsimd, xtl)
QAMA_LICENSE_FILES = LICENSE third-party/LICENSE.xsimd third-party/LICENSE.xtl
QAMA_INSTALL_STAGING = YES
QAMA_CMAKE_BACKEND = ninja
QAMA_DEPENDENCIES = cli11 jpeg json-for-modern-cpp libmd libpng libsodium zlib

# libwebp and giflib are read where they are.
ifeq ($(BR2_PACKAGE_WEBP),y)
QAMA_DEPENDENCIES += webp
endif
ifeq ($(BR2_PACKAGE_GIFLIB),y)
QAMA_DEPENDENCIES += giflib
endif

QAMA_CONF_OPTS = \
	-DQAMA_BOOTSTRAP=OFF \
	-DQAMA_BUILD_TESTS=OFF \
	-DQAMA_BUILD_BENCH=OFF \
	-DQAMA_LINEAR=packed \
	-DQAMA_WITH_CIM=OFF \
	-DQAMA_WITH_TIFF=OFF \
	-DQAMA_WITH_WEBP=$(if $(BR2_PACKAGE_WEBP),ON,OFF) \
	-DQAMA_WITH_GIF=$(if $(BR2_PACKAGE_GIFLIB),ON,OFF) \
	-DQAMA_INSTALL_MODELS=$(if $(BR2_PACKAGE_QAMA_MODELS),ON,OFF)

$(eval $(cmake-package))
