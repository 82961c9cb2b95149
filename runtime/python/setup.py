"""The wheel's name: any Python 3, one processor. `toolchains/wheel` sets QAMA_VERSION and
QAMA_PLATFORM and puts libqama.so into the package."""
import os

from setuptools import setup
from wheel.bdist_wheel import bdist_wheel


class Wheel(bdist_wheel):
    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self):
        return "py3", "none", os.environ["QAMA_PLATFORM"]


setup(version=os.environ.get("QAMA_VERSION", "0"), cmdclass={"bdist_wheel": Wheel})
