"""The few structures of ASN.1 that keys and signatures need, in DER and in nothing else (X.690 §10).

A reader that takes another length form or a padded number would take two texts for one signature.
"""

from gateway.crypto import CryptoError

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30

_LONG_FORM = 0x80
_MOST_LENGTH_BYTES = 2


def element(tag: int, content: bytes) -> bytes:
    """Write one element of at most 65,535 bytes."""
    length = len(content)
    if length < _LONG_FORM:
        return bytes([tag, length]) + content
    digits = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, _LONG_FORM | len(digits)]) + digits + content


class Reader:
    """Reads elements one after another. Every method raises CryptoError where the bytes are not what was asked for.

    Args:
        data: the elements.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def at(self, tag: int) -> bool:
        """Tell whether the next element has this tag."""
        return self._data[self._at : self._at + 1] == bytes([tag])

    def take(self, tag: int) -> bytes:
        """The content of the next element, which has to have this tag."""
        if not self.at(tag):
            raise CryptoError(f"DER: no element of tag {tag:#04x} where it has to stand")
        self._at += 1
        length = self._length()
        content = self._data[self._at : self._at + length]
        if len(content) != length:
            raise CryptoError("DER: an element longer than what is left")
        self._at += length
        return content

    def enter(self, tag: int) -> "Reader":
        """A reader of the next element's content."""
        return Reader(self.take(tag))

    def natural_number(self, size: int) -> bytes:
        """The next INTEGER, which has to be positive or zero and to fit, as `size` bytes big-endian."""
        digits = self.take(INTEGER)
        if not digits or digits[0] & 0x80:
            raise CryptoError("DER: an empty or negative number")
        if len(digits) > 1 and digits[0] == 0 and not digits[1] & 0x80:
            raise CryptoError("DER: a number longer than it has to be")
        bare = digits.lstrip(b"\0")
        if len(bare) > size:
            raise CryptoError(f"DER: a number of more than {size} bytes")
        return bare.rjust(size, b"\0")

    def end(self) -> None:
        """Refuse anything that is left."""
        if self._at != len(self._data):
            raise CryptoError("DER: something after the end")

    def _length(self) -> int:
        first = self._byte()
        if first < _LONG_FORM:
            return first
        count = first & ~_LONG_FORM
        if not 1 <= count <= _MOST_LENGTH_BYTES:
            raise CryptoError("DER: an indefinite length, or one beyond every key")
        digits = [self._byte() for _ in range(count)]
        length = int.from_bytes(bytes(digits))
        if digits[0] == 0 or length < _LONG_FORM:
            raise CryptoError("DER: a length longer than it has to be")
        return length

    def _byte(self) -> int:
        if self._at >= len(self._data):
            raise CryptoError("DER: cut off")
        self._at += 1
        return self._data[self._at - 1]
