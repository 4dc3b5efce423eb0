import pytest

from gateway.crypto import CryptoProvider
from gateway.crypto.choice import ORDER, choose


@pytest.fixture(params=ORDER)
def provider(request: pytest.FixtureRequest) -> CryptoProvider:
    """Every back end in turn; one that this machine has not is skipped, but the last one has to be everywhere."""
    if request.param != "gmalg":
        pytest.importorskip({"tongsuo": "tongsuopy", "libcrypto": "_hashlib"}[request.param])
    return choose(request.param)
