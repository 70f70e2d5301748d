"""Fixtures of pytest: installed with the package, there without an import."""

import pytest

from headless_dns import Cluster


@pytest.fixture(scope="module")
def headless_dns_cluster():
    """An empty cluster, which the tests of a module share."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def headless_dns_start():
    """Starts clusters of its own for a test: `headless_dns_start("redis.yaml")`. They end with the test."""
    started = []

    def start(*manifests, **options):
        started.append(Cluster(*manifests, **options))
        return started[-1]

    yield start
    for cluster in started:
        cluster.stop()
