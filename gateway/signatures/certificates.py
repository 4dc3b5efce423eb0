"""Certificates that come with a message: held against configured roots before their key is believed (RFC 5280 §6).

RSA and ECDSA chains are checked by `cryptography`, SM2 chains (GM/T 0015-2012) by the CryptoProvider. keys.py has keys
that come without certificates. Revocation is not asked about: whoever needs it lists serial numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from gateway.crypto import CryptoError, CryptoProvider
from gateway.crypto.der import INTEGER, SEQUENCE, Reader, element
from gateway.crypto.encoding import RSA_BITS, read_public_key_info, signature_from_der

E = TypeVar("E", bound=x509.ExtensionType)

SM2_WITH_SM3 = "1.2.156.10197.1.501"
LARGEST_CERTIFICATE = 16384
LONGEST_CHAIN = 5
_HASHES = frozenset({"sha256", "sha384", "sha512"})
_VERSION = 0xA0


class CertificateError(ValueError):
    """A certificate that is not acceptable. The text is for the record."""


def read_certificate(pem: str | bytes) -> x509.Certificate:
    """Read one certificate, its extensions included.

    Raises:
        CertificateError: it is none, too large, or has a critical extension that nobody here knows.
    """
    data = pem.encode() if isinstance(pem, str) else pem
    if len(data) > LARGEST_CERTIFICATE:
        raise CertificateError(f"a certificate of {len(data)} bytes")
    try:
        certificate = x509.load_pem_x509_certificate(data)
        if certificate.version is not x509.Version.v3:
            raise CertificateError("a certificate of an old version")
        unknown = [one for one in certificate.extensions if isinstance(one.value, x509.UnrecognizedExtension)]
    except (ValueError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise CertificateError(f"no certificate: {type(error).__name__}") from None
    if any(one.critical for one in unknown):
        raise CertificateError("a critical extension that is not known")
    return certificate


def read_authority(pem: str) -> x509.Certificate:
    """Read a certificate that may sign others.

    Raises:
        CertificateError: it is none, or may not.
    """
    certificate = read_certificate(pem)
    _check_authority(certificate, below=0)
    return certificate


def common_name(name: x509.Name) -> str:
    """CN of a name; empty when there is none, or more than one."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""


def rsa_key(certificate: x509.Certificate) -> RSAPublicKey:
    """The RSA key of a certificate.

    Raises:
        CertificateError: it has another one, or a short one.
    """
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey) or key.key_size not in RSA_BITS:
        raise CertificateError("no RSA key of an acceptable length")
    return key


def sm2_key(certificate: x509.Certificate) -> bytes:
    """The SM2 key of a certificate, as CryptoProvider wants it: 65 bytes that begin with 4.

    Raises:
        CertificateError: it has another one.
    """
    # `cryptography` reads these certificates and does not hand out their keys, so the field is looked up in the DER:
    # TBSCertificate (RFC 5280 §4.1) is version, serial number, algorithm, issuer, validity, subject, key.
    try:
        fields = Reader(certificate.tbs_certificate_bytes).enter(SEQUENCE)
        fields.take(_VERSION)
        fields.take(INTEGER)
        for _ in range(4):
            fields.take(SEQUENCE)
        return read_public_key_info(element(SEQUENCE, fields.take(SEQUENCE)))
    except CryptoError:
        raise CertificateError("no SM2 key") from None


class TrustAnchors:
    """Roots that are believed, and intermediates that may help to reach them.

    Args:
        roots: PEM, one each.
        intermediates: PEM, one each.
        crypto: gives the provider for SM2 signatures; asked only when there is one.

    Raises:
        CertificateError: one of them is no certificate of an authority.
    """

    def __init__(
        self, roots: Sequence[str], intermediates: Sequence[str], crypto: Callable[[], CryptoProvider]
    ) -> None:
        self.roots = tuple(map(read_authority, roots))
        self.intermediates = tuple(map(read_authority, intermediates))
        self._crypto = crypto
        self._chain_of = lru_cache(maxsize=64)(self._build)

    def check(self, pem: bytes, at: float) -> x509.Certificate:
        """Believe a signer's certificate, or not.

        Args:
            pem: as it came.
            at: Unix seconds; every certificate of the chain has to be valid then.

        Raises:
            CertificateError: no chain leads to a root, one of it is not valid at that time, or it may not sign.
        """
        chain = self._chain_of(pem)
        moment = datetime.fromtimestamp(at, UTC)
        for certificate in chain:
            if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
                raise CertificateError(f"certificate {certificate.serial_number} is not valid now")
        return chain[0]

    def _build(self, pem: bytes) -> tuple[x509.Certificate, ...]:
        signer = read_certificate(pem)
        _check_signer(signer)
        chain = [signer]
        while chain[-1] not in self.roots:
            issuer = next(self._issuers(chain[-1]), None)
            if issuer is None or len(chain) == LONGEST_CHAIN:
                raise CertificateError("no chain leads to a root")
            _check_authority(issuer, below=len(chain) - 1)
            chain.append(issuer)
        return tuple(chain)

    def _issuers(self, certificate: x509.Certificate) -> Iterator[x509.Certificate]:
        for issuer in self.roots + self.intermediates:
            if issuer.subject == certificate.issuer and issuer != certificate and self._signed(issuer, certificate):
                yield issuer

    def _signed(self, issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
        if certificate.signature_algorithm_oid.dotted_string == SM2_WITH_SM3:
            return self._signed_sm2(issuer, certificate)
        try:
            digest = certificate.signature_hash_algorithm
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            return False
        key = issuer.public_key()
        strong = isinstance(key, EllipticCurvePublicKey) or (isinstance(key, RSAPublicKey) and key.key_size in RSA_BITS)
        return strong and digest is not None and digest.name in _HASHES

    def _signed_sm2(self, issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
        try:
            signature = signature_from_der(certificate.signature)
            return self._crypto().sm2_verify(sm2_key(issuer), certificate.tbs_certificate_bytes, signature)
        except (CertificateError, CryptoError):
            return False


def _check_authority(certificate: x509.Certificate, below: int) -> None:
    """Hold an authority to RFC 5280 §6.1.4: it may sign certificates, and so many more may be below it."""
    basic = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    if basic is None or not basic.ca or (usage is not None and not usage.key_cert_sign):
        raise CertificateError(f"certificate {certificate.serial_number} is no authority's")
    if basic.path_length is not None and basic.path_length < below:
        raise CertificateError(f"certificate {certificate.serial_number} allows no chain as long as this")


def _check_signer(certificate: x509.Certificate) -> None:
    basic = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    if (basic is not None and basic.ca) or (usage is not None and not usage.digital_signature):
        raise CertificateError("the certificate is not meant for signing messages")


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
