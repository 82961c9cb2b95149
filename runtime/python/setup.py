"""The wheel's name: any Python 3, one processor. `toolchains/wheel` sets QAMA_VERSION and
QAMA_PLATFORM and puts libqama.so into the package."""
import os

from setuptools import Distribution, setup
from wheel.bdist_wheel import bdist_wheel


class Binary(Distribution):
    def has_ext_modules(self):
        return True  # the library is one


class Wheel(bdist_wheel):
    def get_tag(self):
        return "py3", "none", os.environ["QAMA_PLATFORM"]


setup(version=os.environ.get("QAMA_VERSION", "0"), distclass=Binary,
      cmdclass={"bdist_wheel": Wheel})
