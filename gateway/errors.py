"""Every way a request can end early. Each class knows its answer: status, stable code, and a sentence for people.

    GatewayError
    ├── RequestMalformed            400  the raw request breaks a rule of the wire
    │   ├── TargetRefused           400  the target could be read in two ways
    │   ├── HostUnknown             421  a host this gateway does not serve
    │   ├── RequestTimeout          408  the client was too slow
    │   ├── BodyTooLarge            413
    │   ├── TargetTooLong           414
    │   ├── HeadersTooLarge         431
    │   └── ExpectationUnknown      417
    ├── SignInMalformed             400  a step of signing in or out that cannot be taken
    ├── ItemUnknown                 404  nothing is configured there
    ├── MethodNotAllowed            405
    ├── Unauthenticated             401  no credential, or a bad one
    │   ├── ChannelRejected         401  the channel's own signature does not hold
    │   │   ├── Replayed            401
    │   │   └── ClockSkew           401
    │   ├── TokenMissing            401
    │   └── CredentialRejected      401
    │       ├── TokenRevoked        401
    │       ├── IssuerUnknown       401
    │       └── SignInRefused       401  the identity platform says no
    ├── StepUpRequired              401  a stronger login helps (RFC 9470)
    ├── Forbidden                   403  known, but refused
    │   ├── ChannelNotAllowed       403
    │   ├── AudienceNotAllowed      403
    │   ├── CrossSite               403  another site's page may have sent it
    │   └── ContentBlocked          403  the inspection at the gatekeeper said no
    ├── Conflict                    409  something must be done first
    ├── InputRefused                422  a form with fields that cannot be taken
    ├── RateLimited                 429
    ├── CannotDecide                503  we cannot tell whether this may pass, so it does not
    │   ├── VerifierUnavailable     503
    │   ├── StateUnavailable        503  what the workers share cannot be reached
    │   ├── Overloaded              503
    │   └── Draining                503
    ├── Undelivered                 502  the business system did not answer as it should
    │   ├── UpstreamUnavailable     503
    │   ├── UpstreamTimeout         504
    │   ├── GatekeeperBusy          503
    │   └── GatekeeperTimeout       504
    └── InternalError               500  a part of the gateway broke

`detail` is for the record and never shown to a client. docs/errors.md lists the codes; a test holds the two together.
"""

from typing import ClassVar, NamedTuple


class GatewayError(Exception):
    """A request that ends here, with the answer its client gets.

    Attributes:
        status: HTTP status code of the answer.
        code: stable code in the problem body and in the record.
        title: what a person is told, Chinese first, then English.
        proxy_error: the RFC 9209 error token for `Proxy-Status`, None when the gateway itself decided.
        detail: why, for the record only.
        retry_after: seconds after which trying again makes sense; None leaves the header out.
        challenge: value of `WWW-Authenticate`; None leaves the header out.
        close: True when the connection cannot be used after this answer.
        see_other: where a browser is sent instead (303); None answers with the error.
        way: an address of ours where the person can do what is missing, shown with the error; None shows none.
    """

    status: ClassVar[int] = 500
    code: str = "internal-error"
    title: tuple[str, str] = ("系统内部错误，请稍后再试。", "Something broke inside. Please try again later.")
    proxy_error: ClassVar[str | None] = None
    challenge: str | None = None
    close: bool = False
    see_other: str | None = None
    way: str | None = None

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        title: tuple[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        if code is not None:
            self.code = code
        if title is not None:
            self.title = title

    def __copy__(self) -> "GatewayError":
        """The same without its traceback, which holds the request: for whoever waits for the same answer."""
        made = type(self).__new__(type(self), *self.args)
        made.__dict__ |= self.__dict__
        return made


class RequestMalformed(GatewayError):
    """The raw request breaks a rule of RFC 9112 or of docs/security.md; the connection ends."""

    status = 400
    code = "request-malformed"
    title = ("请求格式不正确。", "The request is not well formed.")
    close = True


class TargetRefused(RequestMalformed):
    """The target is not plain: it could mean one path to us and another one behind us."""

    code = "target-refused"
    title = (
        "请求地址包含不允许的字符或写法。",
        "The address contains characters or forms that are not allowed.",
    )


class HostUnknown(RequestMalformed):
    """`Host` names no host of this gateway (RFC 9110 §15.5.20)."""

    status = 421
    code = "host-unknown"
    title = ("请求的主机名不由本网关提供服务。", "This gateway does not serve the requested host.")


class RequestTimeout(RequestMalformed):
    """Headers or body did not arrive in time."""

    status = 408
    code = "request-timeout"
    title = ("请求发送过慢，连接已关闭。", "The request arrived too slowly and was given up.")


class BodyTooLarge(RequestMalformed):
    """The body is larger than the item allows."""

    status = 413
    code = "body-too-large"
    title = ("提交的内容超过允许的大小。", "The submitted content is larger than allowed.")


class TargetTooLong(RequestMalformed):
    """The request line is longer than the limit."""

    status = 414
    code = "target-too-long"
    title = ("请求地址过长。", "The address is too long.")


class HeadersTooLarge(RequestMalformed):
    """The header block is larger than the limit, or has too many fields (RFC 6585 §5)."""

    status = 431
    code = "headers-too-large"
    title = ("请求头过大。", "The request header fields are too large.")


class ExpectationUnknown(RequestMalformed):
    """`Expect` holds something other than 100-continue (RFC 9110 §10.1.1)."""

    status = 417
    code = "expectation-unknown"
    title = ("不支持请求中的 Expect 要求。", "The expectation of the request cannot be met.")


class SignInMalformed(GatewayError):
    """A step of signing in or out that cannot be taken as it was asked for; nothing was changed."""

    status = 400
    code = "sign-in-malformed"
    title = (
        "登录请求无效或已过期，请重新登录。",
        "The sign-in request is not valid or has expired. Please start again.",
    )


class ItemUnknown(GatewayError):
    """No service item answers to this path."""

    status = 404
    code = "item-unknown"
    title = ("没有找到该服务事项。", "There is no such service item.")


class MethodNotAllowed(GatewayError):
    """The path is known, the method is not offered there; `allow` lists those that are."""

    status = 405
    code = "method-not-allowed"
    title = ("该服务事项不支持此请求方式。", "The service item does not offer this method.")

    def __init__(self, detail: str = "", *, allow: tuple[str, ...] = (), close: bool = False) -> None:
        super().__init__(detail)
        self.allow = allow
        self.close = close


class Unauthenticated(GatewayError):
    """No credential, or a bad one. The reason stays in the record: one generic body for all of them."""

    status = 401
    code = "token-invalid"
    title = ("登录状态无效，请重新登录。", "Your sign-in is not valid. Please sign in again.")
    challenge = 'Bearer error="invalid_token"'


class ChannelRejected(Unauthenticated):
    """The channel's own signature over the request does not hold.

    Attributes:
        channel: name of the channel; empty until the policy has filled it in.
        client: the calling program that the request claims to come from; None when it claims none.
    """

    code = "channel-signature"
    title = ("渠道签名校验未通过。", "The channel's signature does not hold.")
    challenge = "Tongguan-Channel"
    channel: str = ""
    client: str | None = None


class Replayed(ChannelRejected):
    """The same signed request has been here before."""

    code = "replayed"
    title = ("该请求已被处理，不能重复提交。", "This signed request has been used before.")


class ClockSkew(ChannelRejected):
    """The signed time is outside the window; the answer carries our own time in `Date`."""

    code = "clock-skew"
    title = ("渠道时间与服务器时间相差过大。", "The channel's clock differs too much from ours.")


class TokenMissing(Unauthenticated):
    """The item asks who you are and the request does not say (RFC 6750 §3: no error attribute)."""

    code = "token-missing"
    title = ("请先登录后再办理。", "Please sign in first.")
    challenge = "Bearer"


class CredentialRejected(Unauthenticated):
    """A verifier knows this kind of credential, and this one is bad. The chain ends."""


class TokenRevoked(CredentialRejected):
    """The token was good once and has been withdrawn."""

    code = "token-revoked"
    title = ("登录已注销，请重新登录。", "You have been signed out. Please sign in again.")


class IssuerUnknown(CredentialRejected):
    """No verifier of the chain knows this kind of credential or its issuer."""

    code = "issuer-unknown"


class SignInRefused(CredentialRejected):
    """The identity platform, or a channel's, says no to a ticket or a code; or what it says does not hold."""

    code = "sign-in-refused"
    title = ("登录未成功，请重新登录。", "Signing in did not succeed. Please try again.")


class StepUpRequired(GatewayError):
    """A stronger or fresher login would be accepted (RFC 9470 §3)."""

    status = 401
    code = "assurance-too-low"
    title = ("办理该事项需要更高等级的身份认证。", "This item needs a stronger sign-in.")

    def __init__(
        self,
        detail: str = "",
        *,
        acr_values: str,
        max_age: int | None = None,
        title: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(detail, title=title)
        self.acr_values = acr_values
        self.max_age = max_age
        challenge = f'Bearer error="insufficient_user_authentication", acr_values="{acr_values}"'
        self.challenge = challenge if max_age is None else f"{challenge}, max_age={max_age}"


class Forbidden(GatewayError):
    """The person is known and may not do this now. A re-authorizer names its own code."""

    status = 403
    code = "forbidden"
    title = ("您无权办理该事项。", "You may not do this.")


class ChannelNotAllowed(Forbidden):
    """The item is not offered through this channel."""

    code = "channel-not-allowed"
    title = ("该事项不支持通过此渠道办理。", "This item is not offered through this channel.")


class AudienceNotAllowed(Forbidden):
    """The item is for another kind of person (natural or legal)."""

    code = "audience-not-allowed"
    title = ("该事项不面向此类用户。", "This item is not meant for this kind of user.")


class CrossSite(Forbidden):
    """A request with a session cookie that may come from another site's page (CSRF)."""

    code = "cross-site-request"
    title = (
        "请求来源校验未通过，请刷新页面后重试。",
        "The request may come from another site. Reload the page and try again.",
    )


class ContentBlocked(Forbidden):
    """The inspection before the gatekeeper does not let this content through."""

    code = "content-blocked"
    title = ("提交的内容未通过安全检查。", "The content did not pass the inspection.")
    proxy_error = "http_request_denied"


class Conflict(GatewayError):
    """Something has to be done elsewhere first; the code says what."""

    status = 409
    code = "binding-missing"
    title = (
        "账户尚未绑定，请先到经办机构办理绑定。",
        "The account is not bound yet. Please have the agency bind it.",
    )


class FieldProblem(NamedTuple):
    """What is wrong with one field of a form.

    Attributes:
        field: its name; `items.0` for an element of a list.
        title: what the person is told, Chinese first, then English.
    """

    field: str
    title: tuple[str, str]


class InputRefused(GatewayError):
    """Fields of a form or of a JSON body cannot be taken; nothing was saved (RFC 9110 §15.5.21).

    Args:
        problems: every one of them.
    """

    status = 422
    code = "input-refused"
    title = ("填写的内容有误，请按提示修改。", "Some of what was entered cannot be taken. Please see the fields.")

    def __init__(self, *problems: FieldProblem) -> None:
        super().__init__(", ".join(problem.field for problem in problems))
        self.problems = problems


class RateLimited(GatewayError):
    """One of the configured rates is used up (RFC 6585 §4)."""

    status = 429
    code = "rate-limited"
    title = ("访问过于频繁，请稍后再试。", "Too many requests. Please try again later.")


class CannotDecide(GatewayError):
    """We cannot tell whether this may pass. Doubt closes: it does not pass, and it is not the client's fault."""

    status = 503
    code = "cannot-decide"
    title = ("暂时无法受理，请稍后再试。", "We cannot decide at the moment. Please try again later.")

    def __init__(self, detail: str = "", *, retry_after: float = 5.0) -> None:
        super().__init__(detail, retry_after=retry_after)


class VerifierUnavailable(CannotDecide):
    """Whoever could say whether the credential is good cannot be asked now."""

    code = "province-unreachable"
    title = (
        "统一身份认证平台暂时无法访问，请稍后再试。",
        "The identity platform cannot be reached. Please try again later.",
    )


class StateUnavailable(CannotDecide):
    """What the workers share (sessions, withdrawals, what was used once) cannot be reached now."""

    code = "state-unavailable"


class Overloaded(CannotDecide):
    """More requests in flight, or more connections, than this worker carries."""

    code = "overloaded"
    title = ("系统繁忙，请稍后再试。", "The system is busy. Please try again later.")


class Draining(CannotDecide):
    """This worker is going away and takes nothing new."""

    code = "draining"
    title = (
        "服务正在维护切换，请稍后再试。",
        "The service is being restarted. Please try again in a moment.",
    )
    close = True


class Undelivered(GatewayError):
    """The business system was asked, or could not be, and gave no answer that may be passed on.

    Attributes:
        outcome: `unknown` when the system may have acted, `refused` when it certainly has not, `delivered` when it
            has and only its answer is withheld. What the class says, unless one case is known better.
    """

    status = 502
    outcome: str = "unknown"
    code = "upstream-invalid"
    title = ("业务系统返回异常，请稍后再试。", "The business system did not answer properly.")
    proxy_error = "http_protocol_error"

    def __init__(self, detail: str = "", *, outcome: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(detail, retry_after=retry_after)
        if outcome is not None:
            self.outcome = outcome


class UpstreamUnavailable(Undelivered):
    """No target of the system takes requests now; nothing was executed."""

    status = 503
    code = "upstream-unavailable"
    outcome = "refused"
    title = ("业务系统暂时无法访问，请稍后再试。", "The business system cannot be reached at the moment.")
    proxy_error = "destination_unavailable"


class UpstreamTimeout(Undelivered):
    """No answer in time. For a method that is not safe the outcome is unknown."""

    status = 504
    code = "upstream-timeout"
    title = ("业务系统未在规定时间内应答。", "The business system did not answer in time.")
    proxy_error = "http_response_timeout"


class GatekeeperBusy(Undelivered):
    """The queue before the gatekeeper is full, or the gatekeeper cannot be reached; nothing was handed over."""

    status = 503
    code = "gatekeeper-busy"
    outcome = "refused"
    title = (
        "内外网交换繁忙，请稍后再试。",
        "The exchange with the inner network is busy. Please try again later.",
    )
    proxy_error = "connection_limit_reached"


class GatekeeperTimeout(Undelivered):
    """Handed over, and no answer came back in time. The outcome is unknown."""

    status = 504
    code = "gatekeeper-timeout"
    title = ("内外网交换未在规定时间内应答。", "No answer came back from the inner network in time.")
    proxy_error = "http_response_timeout"


class InternalError(GatewayError):
    """A part of the gateway or a plugin broke. The request did not pass."""

    proxy_error = "proxy_internal_error"


class ClientGone(Exception):
    """The client left before its answer was written. Nothing to answer, still something to record."""


class ConfigurationError(Exception):
    """The configuration cannot be used; nothing is started and nothing is changed.

    Attributes:
        problems: one line each: file, line, YAML path, what is wrong, and the remedy.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
