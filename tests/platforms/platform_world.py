"""What the platform tests share: each dialect with settings, a login, and what its platform says when all is well."""

import asyncio
import json
from base64 import b64encode
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from gateway import HttpAnswer, Kind, Login, Platform, sign_message
from gateway.configuration.parts import import_part, part_config
from gateway.crypto import chosen_provider
from tests.plugin_world import NOW, answer
from tests.plugin_world import Platform as FakePlatform

SECRET = "correct-horse-battery-staple"
CALLBACK = "https://gw.example.gov.cn/sso/callback/part"
ISSUER = "https://id.example.gov.cn"
AT = {"issuer": ISSUER, "addresses": {"internet": "https://id.example.gov.cn"}}
WORD = "0123456789abcdef"
USCC = "91350100M000100Y43"


class HeldPlatform(FakePlatform):
    """A platform that can be told to keep its callers waiting, and says when somebody asks.

    Attributes:
        asked: set when a question has arrived.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    def hold(self, said: HttpAnswer) -> None:
        self.answers, self.gate = [said], asyncio.Event()

    async def __call__(self, *args: object, **named: object) -> HttpAnswer:
        self.asked.set()
        return await super().__call__(*args, **named)


def login(kind: Kind = Kind.NATURAL, **changed: object) -> Login:
    said = {
        "platform": "part",
        "kind": kind,
        "state": "state-1",
        "callback": CALLBACK,
        "nonce": "nonce-1",
        "secret": "s" * 43,
        "began_at": NOW,
    }
    return Login(**(said | changed))


def seal(key: bytes, value: object) -> str:
    """Base64 of AES-ECB, as `AES/ECB/PKCS5Padding` makes it."""
    padder = PKCS7(128).padder()
    data = value.encode() if isinstance(value, str) else json.dumps(value, ensure_ascii=False).encode()
    sealer = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return b64encode(sealer.update(padder.update(data) + padder.finalize()) + sealer.finalize()).decode()


def envelope(user: dict, *, stamp: str = "20231115061320", secret: str = SECRET, **content: object) -> HttpAnswer:
    """Guangdong's signed envelope. The stamp is NOW in China."""
    inner = json.dumps({"sdata": "x", "userobj": user} | content, ensure_ascii=False)
    sign = sign_message("hmac-sha256", secret, f"{inner}{stamp}v1".encode(), chosen_provider())
    text = f'{{"b_content": {inner} , "time_stamp":"{stamp}","version":"v1","sign":"{b64encode(sign).decode()}"}}'
    return answer(text.encode())


@dataclass
class Case:
    """A dialect as the tests see it.

    Attributes:
        use: its class.
        config: its settings.
        kind: as whom somebody signs in.
        back: what the browser brings back.
        good: what the platform says, question by question.
        person: (subject, kind, level, assurance, operator) that come out of it.
        refused: what the platform says of a bad ticket; None where the callback brings the token itself.
        dead: what it says of a dead token.
        fault: what it says when something is wrong that is not the visitor's fault.
        without_subject: its last answer, without the person.
        strange_level: its last answer, with a level that nobody knows.
        unusable: its last answer, about an account that cannot be used here: masked, or a unit for which nobody acts.
    """

    use: str
    config: dict
    kind: Kind
    back: dict[str, str]
    good: list[HttpAnswer]
    person: tuple
    dead: HttpAnswer
    fault: HttpAnswer
    without_subject: HttpAnswer
    strange_level: HttpAnswer
    unusable: HttpAnswer
    refused: HttpAnswer | None = None
    token: str = "token-1"

    def make(self, context: object, **changed: object) -> Platform:
        part = import_part(self.use)
        return part(part_config(part, self.config | changed), context)


BG = {"access_key": "AK-TEST", "secret": "SK-TEST"}
ZJ_USER = {
    "result": "0",
    "errmsg": "",
    "userid": "u-1",
    "loginname": "demo",
    "username": "样例甲",
    "idtype": "1",
    "idnum": "350100190001010020",
    "mobile": "138****0001",
    "authlevel": "3",
}
ZJ_UNIT = {
    "userId": "unit-1",
    "CompanyName": "样例一有限公司",
    "uniscid": USCC,
    "CompanyLegRep": "样例丁",
    "realLevel": "1",
    "attnName": "样例乙",
    "attnIDType": "111",
    "attnIDNo": "350100190001010012",
}
IRS_PERSON = {"userId": "u-1", "userName": "样例甲", "idType": "ID_CARD", "idNo": "350100190001010020", "gender": "女"}
IRS_UNIT = {
    "corpId": "unit-1",
    "name": "样例一有限公司",
    "unifiedSocialId": USCC,
    "attnName": "样例乙",
    "attnIdNo": "350100190001010012",
}
JIS_USER = {"uuid": "u-1", "name": "样例甲", "papersnumber": "350100190001010020", "authlevel": "2", "isauth": "1"}
JIS_UNIT = {"uuid": "u-9", "corname": "样例一有限公司", "cornumber": USCC, "authlevel": "3"}
GD_USER = {
    "uid": "demo",
    "cn": "样例甲",
    "usertype": "1",
    "idcardtype": "10",
    "idcardnumber": "350100190001010020",
    "useridcode": "0" * 31 + "1",
    "creditable_level_of_account": "L2",
    "uversion": "3.0",
    "isreal": "true",
    "extproperties": ["sex=2", "address=-1"],
}
GD_UNIT = {
    "cn": "样例一有限公司",
    "usertype": "2",
    "idcardtype": "49",
    "idcardnumber": USCC,
    "useridcode": "0" * 31 + "2",
    "link_person_name": "样例乙",
    "link_person_code": "350100190001010012",
    "creditable_level_of_account": "L3",
}
GJ_USER = {"userid": "u-1", "name": "样例甲", "idnumber": "350100190001010020", "level": "四级", "version": 7}


def irs(user_type: str, level: object = "3", **infos: object) -> HttpAnswer:
    return answer({"success": True, "errorCode": "0", "data": {"userType": user_type, "authLevel": level} | infos})


def jis(data: dict) -> HttpAnswer:
    return answer({"retcode": "000000", "msg": "ok", "data": seal(WORD.encode(), data)})


def gj(data: object, code: object = 200) -> HttpAnswer:
    return answer({"code": code, "message": "", "data": data})


def without(members: dict, name: str) -> dict:
    return {key: value for key, value in members.items() if key != name}


PERSONS_OF_ZHEJIANG = Case(
    use="plugins.platforms.zhejiang:ZhejiangPerson",
    config=AT
    | {"service_code": "svc", "service_password": SECRET, "assurance": {"2": 2, "3": 3}, "faults": ["1001"]}
    | {"gateway": BG},
    kind=Kind.NATURAL,
    back={"ticket": "ST-1"},
    good=[answer({"result": "0", "errmsg": "", "token": "token-1", "loginname": "demo"}), answer(ZJ_USER)],
    person=("u-1", Kind.NATURAL, "3", 3, None),
    refused=answer({"result": "2001", "errmsg": "票据无效"}),
    dead=answer({"result": 2002, "errmsg": "令牌无效"}),
    fault=answer({"result": "1001", "errmsg": "签名错误"}),
    without_subject=answer(without(ZJ_USER, "userid")),
    strange_level=answer(ZJ_USER | {"authlevel": "9"}),
    unusable=answer(ZJ_USER | {"userid": "35010*****"}),
)
UNITS_OF_ZHEJIANG = Case(
    use="plugins.platforms.zhejiang:ZhejiangLegal",
    config=AT | {"faults": ["500"], "gateway": {"access_key": "AK-TEST", "secret": SECRET}},
    kind=Kind.LEGAL,
    back={"ssotoken": "AQIC5wM2*AAJ*"},
    good=[answer({"success": True, "errCode": 0, "data": json.dumps(ZJ_UNIT)})],
    person=("unit-1", Kind.LEGAL, "1", 4, "350100190001010012"),
    dead=answer({"success": False, "errCode": "2002", "msg": "令牌无效"}),
    fault=answer({"success": False, "errCode": 500, "msg": "系统异常"}),
    without_subject=answer({"success": True, "data": without(ZJ_UNIT, "userId")}),
    strange_level=answer({"success": True, "data": ZJ_UNIT | {"realLevel": "0"}}),
    unusable=answer({"success": True, "data": ZJ_UNIT | {"attnIDNo": "3501**********0012"}}),
    token="AQIC5wM2*AAJ*",
)
IRS = {"app_id": "2001", "gateway": {"access_key": "AK-TEST", "secret": SECRET}, "assurance": {"3": 3}}
IRS_TOKEN = answer({"success": True, "errorCode": "0", "data": {"accessToken": "token-1"}})
PERSONS_OF_IRS = Case(
    use="plugins.platforms.zhejiang_irs:ZhejiangIrs",
    config=AT | IRS,
    kind=Kind.NATURAL,
    back={"ticketId": "tk-1"},
    good=[IRS_TOKEN, irs("PERSON", personInfo=IRS_PERSON, legalPersonInfo=IRS_UNIT)],
    person=("u-1", Kind.NATURAL, "3", 3, None),
    refused=answer({"success": False, "errorCode": "2001", "errorMsg": "ticketId 无效", "data": None}),
    dead=answer({"success": False, "errorCode": "2002", "errorMsg": "accessToken 无效"}),
    fault=answer({"success": False, "errorCode": "-1", "errorMsg": "系统异常"}),
    without_subject=irs("PERSON", personInfo=without(IRS_PERSON, "userId")),
    strange_level=irs("PERSON", "9", personInfo=IRS_PERSON),
    unusable=irs("PERSON", personInfo=IRS_PERSON | {"userId": "u-*"}),
)
UNITS_OF_IRS = Case(
    use="plugins.platforms.zhejiang_irs:ZhejiangIrs",
    config=AT | IRS,
    kind=Kind.LEGAL,
    back={"ticketId": "tk-1"},
    good=[IRS_TOKEN, irs("LEGAL_PERSON", legalPersonInfo=IRS_UNIT)],
    person=("unit-1", Kind.LEGAL, "3", 3, "350100190001010012"),
    refused=PERSONS_OF_IRS.refused,
    dead=PERSONS_OF_IRS.dead,
    fault=PERSONS_OF_IRS.fault,
    without_subject=irs("LEGAL_PERSON", legalPersonInfo=without(IRS_UNIT, "corpId")),
    strange_level=irs("LEGAL_PERSON", "9", legalPersonInfo=IRS_UNIT),
    unusable=irs("LEGAL_PERSON", legalPersonInfo=without(IRS_UNIT, "attnIdNo")),
)
JIS = {"app_mark": "mark", "app_word": WORD, "kinds": ["natural"], "faults": ["100002", "100003"]}
JIS_TOKEN = answer({"retcode": "000000", "msg": "ok", "data": '{"token":"token-1"}'})
PERSONS_OF_JIS = Case(
    use="plugins.platforms.hanweb_jis:HanwebJis",
    config=AT | JIS,
    kind=Kind.NATURAL,
    back={"ticket": "tk-1"},
    good=[JIS_TOKEN, jis(JIS_USER)],
    person=("u-1", Kind.NATURAL, "2", 2, None),
    refused=answer({"retcode": "200001", "msg": "票据无效", "data": None}),
    dead=answer({"retcode": "200002", "msg": "令牌无效"}),
    fault=answer({"retcode": "100003", "msg": "请求已过期"}),
    without_subject=jis(without(JIS_USER, "uuid")),
    strange_level=jis(JIS_USER | {"authlevel": "4"}),
    unusable=jis(JIS_USER | {"uuid": "u-*"}),
)
UNITS_OF_JIS = Case(
    use="plugins.platforms.hanweb_jis:HanwebJis",
    config=AT | JIS | {"kinds": ["legal"]},
    kind=Kind.LEGAL,
    back={"ticket": "tk-1"},
    good=[JIS_TOKEN, jis(JIS_UNIT)],
    person=(USCC, Kind.LEGAL, "3", 3, "u-9"),
    refused=PERSONS_OF_JIS.refused,
    dead=PERSONS_OF_JIS.dead,
    fault=PERSONS_OF_JIS.fault,
    without_subject=jis(without(JIS_UNIT, "cornumber")),
    strange_level=jis(JIS_UNIT | {"authlevel": 7}),
    unusable=jis(without(JIS_UNIT, "uuid")),
)
GD = {"client_id": "dept", "client_secret": SECRET, "envelope": {"key": SECRET}, "faults": ["99999"]}
GD_TOKEN = answer({"access_token": "AQIC5wM2*@node1", "token_type": "Bearer", "errcode": 0})
PERSONS_OF_GUANGDONG = Case(
    use="plugins.platforms.guangdong:Guangdong",
    config=AT | GD,
    kind=Kind.NATURAL,
    back={"code": "code-1", "state": "state-1"},
    good=[GD_TOKEN, envelope(GD_USER)],
    person=("0" * 31 + "1", Kind.NATURAL, "L2", 3, None),
    refused=answer({"error": "invalid_grant"}, 400),
    dead=answer({"errcode": 40001, "errmsg": "token 无效"}),
    fault=answer({"errcode": "99999", "errmsg": "系统异常"}),
    without_subject=envelope(without(GD_USER, "useridcode")),
    strange_level=envelope(GD_USER | {"creditable_level_of_account": "L9"}),
    unusable=envelope(GD_USER | {"useridcode": "0" * 28 + "****"}),
    token="AQIC5wM2*@node1",
)
UNITS_OF_GUANGDONG = Case(
    use="plugins.platforms.guangdong:Guangdong",
    config=AT | GD,
    kind=Kind.LEGAL,
    back={"code": "code-1", "state": "state-1"},
    good=[GD_TOKEN, envelope(GD_UNIT)],
    person=("0" * 31 + "2", Kind.LEGAL, "L3", 4, "350100190001010012"),
    refused=PERSONS_OF_GUANGDONG.refused,
    dead=PERSONS_OF_GUANGDONG.dead,
    fault=answer({"error": "invalid_client"}, 401),
    without_subject=envelope(without(GD_UNIT, "useridcode")),
    strange_level=envelope(GD_UNIT | {"creditable_level_of_account": None}),
    unusable=envelope(GD_UNIT | {"link_person_code": "x" * 129}),
    token="AQIC5wM2*@node1",
)
LINE = {"requester": "rid-1", "secret": SECRET, "user_service": "s_2", "ticket_service": "s_1", "login_path": "/login"}
PERSONS_OF_THE_LINE = Case(
    use="plugins.platforms.national:National",
    config=AT | LINE | {"faults": ["E-106"]},
    kind=Kind.NATURAL,
    back={"ticket": "tk-1"},
    good=[gj({"token": "token-1"}), gj(GJ_USER, "200")],
    person=("u-1", Kind.NATURAL, "四级", 3, None),
    refused=gj(None, 300),
    dead=gj(None, "300"),
    fault=gj(None, "E-106"),
    without_subject=gj(without(GJ_USER, "userid")),
    strange_level=gj(GJ_USER | {"level": "六级"}),
    unusable=gj(GJ_USER | {"userid": "u*"}),
)
UNITS_OF_THE_LINE = Case(
    use="plugins.platforms.national:National",
    config=AT | LINE | {"faults": ["E-106"]},
    kind=Kind.LEGAL,
    back={"ticket": "tk-1"},
    good=[
        gj({"token": "token-1"}),
        gj(GJ_USER | {"usertype": "2", "orgid": "unit-1", "orgname": "样例一有限公司", "uscc": USCC}),
    ],
    person=("unit-1", Kind.LEGAL, "四级", 3, "u-1"),
    refused=PERSONS_OF_THE_LINE.refused,
    dead=PERSONS_OF_THE_LINE.dead,
    fault=PERSONS_OF_THE_LINE.fault,
    without_subject=gj(GJ_USER | {"usertype": "2", "orgname": "样例一有限公司"}),
    strange_level=gj(GJ_USER | {"usertype": "2", "orgid": "unit-1", "level": ""}),
    unusable=gj(without(GJ_USER, "userid") | {"usertype": "2", "orgid": "unit-1"}),
)

CASES = {
    "zhejiang persons": PERSONS_OF_ZHEJIANG,
    "zhejiang units": UNITS_OF_ZHEJIANG,
    "irs persons": PERSONS_OF_IRS,
    "irs units": UNITS_OF_IRS,
    "jis persons": PERSONS_OF_JIS,
    "jis units": UNITS_OF_JIS,
    "guangdong persons": PERSONS_OF_GUANGDONG,
    "guangdong units": UNITS_OF_GUANGDONG,
    "line persons": PERSONS_OF_THE_LINE,
    "line units": UNITS_OF_THE_LINE,
}
