"""Puts the scripts, recipes and launcher configurations into the wheel. Everything else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FOLDERS = ("scripts", "recipes", "accelerate_configs")


class BuildWithRecipes(build_py):
    """Copies the folders into the package `domain_tokens`, where `domain_tokens.shipped` finds them."""

    def run(self) -> None:
        """Build the package. An editable installation reads the folders of the checkout."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "domain_tokens", "_shipped")
        shutil.rmtree(target, ignore_errors=True)  # what an earlier build left
        for folder in FOLDERS:
            shutil.copytree(folder, target / folder, ignore=shutil.ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": BuildWithRecipes})
