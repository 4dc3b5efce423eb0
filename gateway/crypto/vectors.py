"""The official examples: GB/T 32905-2016 appendix A, GB/T 32907-2016 appendix A, GB/T 32918.5-2017 appendix A.

selftest.py holds every provider against them, and the tests do.
"""

SM3 = {
    b"abc": bytes.fromhex("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
    b"abcd" * 16: bytes.fromhex("debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
}
"""Message and digest."""

HMAC_SM3_KEY = b"demo-sk"
HMAC_SM3_MESSAGE = (
    b"POST\n/api/v1/items/query\n\nx-ak:demo-ak\nx-nonce:7f9c2b1e\nx-timestamp:1700000000\n"
    b"871a9cd0e2449c869ad195fa33f7a889f616a84e83f24d3cd163e1c1c2506fee"
)
HMAC_SM3 = bytes.fromhex("ccac58dd25a888644d517d6591bf50a3c89136913ca13093fc9360739c7cb5dc")
"""Not official: a request as the app channel signs it (docs/channels.md)."""

SM4_KEY = bytes.fromhex("0123456789abcdeffedcba9876543210")
SM4_BLOCK = SM4_KEY
SM4_ENCRYPTED = bytes.fromhex("681edf34d206965e86b3e94f536e4246")

SM2_PRIVATE = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
SM2_PUBLIC = bytes.fromhex(
    "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
SM2_MESSAGE = b"message digest"
SM2_SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
