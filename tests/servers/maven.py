"""Java libraries of a fixed version, with all that they need, from Maven's central repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.servers.programs import alone, find_program

PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>tests</groupId><artifactId>tests</artifactId><version>1</version>
<dependencies>{dependencies}</dependencies></project>
"""
DEPENDENCY = (
    """<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"""
)


def jars(*coordinates: str) -> Path:
    """The folder with the jars of ``group:artifact:version`` and what they need, fetched once for this machine."""
    mvn = find_program("mvn", "maven")
    name = "+".join(sorted(text.replace(":", "_") for text in coordinates))
    folder = Path.home() / ".cache" / "datasync-tests" / name
    with alone():
        if not (folder / "complete").exists():
            folder.mkdir(parents=True, exist_ok=True)
            text = "".join(DEPENDENCY.format(*text.split(":")) for text in coordinates)
            (folder / "pom.xml").write_text(POM.format(dependencies=text))
            answer = subprocess.run(
                [mvn, "-q", "-B", "-f", str(folder / "pom.xml"), PLUGIN, f"-DoutputDirectory={folder}"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if answer.returncode:
                pytest.skip(f"Maven does not give {', '.join(coordinates)}: {answer.stdout[-1000:]}")
            (folder / "complete").touch()
    return folder
