"""What tests of the channels of other platforms share: a memory that has always been there, forms, certificates."""

from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import urlencode

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway import PartContext
from gateway.state import MemoryStore
from tests.plugin_world import NOW


def remembering(context: PartContext, clock, since=0.0, **how) -> PartContext:
    """The same context beside a memory that begins at this time."""
    once = MemoryStore(monotonic=lambda: clock.mono, clock=lambda: since, **how)
    return msgspec.structs.replace(context, once=once)


def form(parameters: dict[str, str | bytes]) -> bytes:
    """An urlencoded form."""
    return urlencode(parameters).encode()


def local_time(at: float, pattern: str) -> str:
    """A time of day in China, without its zone."""
    return datetime.fromtimestamp(at, timezone(timedelta(hours=8))).strftime(pattern)


class Authority:
    """A certificate authority of a test, with RSA; its own certificate is made like those that it makes."""

    def __init__(self, name: str, above: "Authority | None" = None, **how) -> None:
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = (above or self).certify(name, self.key, **({"ca": True} | how))

    def certify(
        self, name, key, *, ca=False, path=None, begins=NOW - 86400, ends=NOW + 86400, usage=None, digest=None, more=()
    ) -> str:
        """A certificate in PEM; `usage` names the key usages that are allowed, None leaves the extension out."""
        builder = x509.CertificateBuilder(
            self.name,
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            key.public_key(),
            x509.random_serial_number(),
            datetime.fromtimestamp(begins, UTC),
            datetime.fromtimestamp(ends, UTC),
        )
        extensions = [(x509.BasicConstraints(ca, path), True), *more]
        if usage is not None:
            extensions.append((x509.KeyUsage(**{one: one in usage for one in USAGES}), True))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        signed = builder.sign(self.key, digest or SHA256())
        return signed.public_bytes(Encoding.PEM).decode()


USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)

SM2_SINCE = 1_800_000_000.0
"""A time at which the certificates below are valid."""

# Made with OpenSSL 3.0 (`req`, `x509` with SM3 and the usual identity): a root, an authority, a signer.
SM2_ROOT = """\
-----BEGIN CERTIFICATE-----
MIIBtzCCAV2gAwIBAgIBATAKBggqgRzPVQGDdTBCMQswCQYDVQQGEwJDTjEZMBcG
A1UECgwQU2FtcGxlIEF1dGhvcml0eTEYMBYGA1UEAwwPU2FtcGxlIFNNMiBST09U
MCAXDTI2MTEyMjE4MTQzM1oYDzIxMjUwNjE2MTgxNDMzWjBCMQswCQYDVQQGEwJD
TjEZMBcGA1UECgwQU2FtcGxlIEF1dGhvcml0eTEYMBYGA1UEAwwPU2FtcGxlIFNN
MiBST09UMFkwEwYHKoZIzj0CAQYIKoEcz1UBgi0DQgAEaa+2u1Y6DYtTD2WBtrfg
HoQiEbaslZGP9xhHonDW7gHJ1xE2MRkyHYYU4wNWIK/UvaQ9Yz9I6yk18/NzVzQM
P6NCMEAwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYE
FLRPQc9pFn7klI4mFfQQeGYNEbgdMAoGCCqBHM9VAYN1A0gAMEUCIQCfas/+qffO
HeiWqSHZqMs6cPEQDlDU50L98ziBTTl2cgIgKr3Q1PlOsDtL05Q52cG/mgdTZGgU
o32bV83gm4Ng3Fs=
-----END CERTIFICATE-----
"""
SM2_AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIB1zCCAX2gAwIBAgIBAjAKBggqgRzPVQGDdTBCMQswCQYDVQQGEwJDTjEZMBcG
A1UECgwQU2FtcGxlIEF1dGhvcml0eTEYMBYGA1UEAwwPU2FtcGxlIFNNMiBST09U
MCAXDTI2MTEyMjE4MTQzM1oYDzIxMjUwNjE2MTgxNDMzWjBBMQswCQYDVQQGEwJD
TjEZMBcGA1UECgwQU2FtcGxlIEF1dGhvcml0eTEXMBUGA1UEAwwOU2FtcGxlIFNN
MiBPQ0EwWTATBgcqhkjOPQIBBggqgRzPVQGCLQNCAATAASkJANb7XpmeGNPP2/Is
aUJFYk377gC9Es0X9+EyKP1XS43dNNkj3FsBleOL/i/+BJQNEH/KrPJ1Qv+ofNIO
o2MwYTAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwIBBjAdBgNVHQ4EFgQU
44XWe6lO51mgkDTABQuhMYq3/dAwHwYDVR0jBBgwFoAUtE9Bz2kWfuSUjiYV9BB4
Zg0RuB0wCgYIKoEcz1UBg3UDSAAwRQIgT4oSwXB7ylRnrLVZvDL7JU9L2MS5yOxJ
BhrgEHfyk50CIQD1ywHaSnqWuro/7aN83DmgU/kor2gZWLDxpQc9pdu04A==
-----END CERTIFICATE-----
"""
SM2_SIGNER = """\
-----BEGIN CERTIFICATE-----
MIICAzCCAaigAwIBAgIFEAJkAUkwCgYIKoEcz1UBg3UwQTELMAkGA1UEBhMCQ04x
GTAXBgNVBAoMEFNhbXBsZSBBdXRob3JpdHkxFzAVBgNVBAMMDlNhbXBsZSBTTTIg
T0NBMCAXDTI2MTEyMjE4MTQzM1oYDzIxMjUwNjE2MTgxNDMzWjBvMQswCQYDVQQG
EwJDTjEZMBcGA1UECgwQU2FtcGxlIEF1dGhvcml0eTFFMEMGA1UEAww8MDQxQDgz
MTAwMDAwMDAwODMwNDBA5Lit5Zu96ZO26IGU6IKh5Lu95pyJ6ZmQ5YWs5Y+4QDAw
MDE2NDkzMFkwEwYHKoZIzj0CAQYIKoEcz1UBgi0DQgAEDZzksmmqd2EXDjJ3CyFe
9NAf9w9xhhoWxtmmO7J2cj9o9pZokwzFXVXv4wCE3hqOGK80RdfbcD4W7wZG0Wji
QaNdMFswCQYDVR0TBAIwADAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0OBBYEFFaBtoOD
L7fHmPlXPrcF7hP0PP8yMB8GA1UdIwQYMBaAFOOF1nupTudZoJA0wAULoTGKt/3Q
MAoGCCqBHM9VAYN1A0kAMEYCIQC1nCglwmiBG7cLOv5c8GuQJI79uPGG5aQnbk7J
+iPqDgIhAOwo6LKTEwjI4jjbgq9SUtbjAQFnv8qIoYInkfyxa5ZJ
-----END CERTIFICATE-----
"""
SM2_SIGNER_SERIAL = "68759585097"
SM2_SIGNER_KEY = bytes.fromhex("f7d64644ba61e7bd71ce8039fbb72692ba7a692e006ef0e1559464caacf79074")
