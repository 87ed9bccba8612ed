//! Who is let in.
//!
//! The server listens on the loopback address, which every program of the machine can reach, and every page in every browser on it.
//! So the `Host` has to be ours (a name that an attacker's DNS points here is not), an `Origin` has to be the page's own, and but
//! for the page's files and `/health` a request needs the token, or the cookie of a session. A session is opened with a code that
//! works once and stands behind `#` in the link, where no log and no other server sees it. What this cannot keep out is a program that
//! listens on another port of this machine and is visited by the same browser: cookies are sent to every port.

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use subtle::ConstantTimeEq;

use super::{Server, openai, problem::Refusal};

/// Sessions and codes that are remembered; the oldest give way.
const MAX_SESSIONS: usize = 64;
const MAX_CODES: usize = 16;

/// What a client has to know, and to say.
pub(super) struct Door {
    token: String,
    address: SocketAddr,
    /// Name of the session's cookie. Cookies know no ports, and two servers may run.
    cookie: String,
    hosts: Vec<String>,
    codes: Mutex<VecDeque<String>>,
    sessions: Mutex<VecDeque<String>>,
}

impl Door {
    pub(super) fn new(address: SocketAddr, token: String) -> Self {
        let port = address.port();
        let hosts = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{port}")).to_vec();
        Self {
            token,
            address,
            cookie: format!("sidenote-{port}"),
            hosts,
            codes: Mutex::default(),
            sessions: Mutex::default(),
        }
    }

    /// One that lets nobody in: without a token nothing is the same as it.
    pub(super) fn closed() -> Self {
        Self::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), String::new())
    }

    pub(super) fn page_link(&self) -> io::Result<String> {
        let code = secret()?;
        remember(&self.codes, code.clone(), MAX_CODES);
        Ok(format!("http://{}/#code={code}", self.address))
    }

    /// Takes a code, which is then used up, and gives the cookie of a new session.
    pub(super) fn open_session(&self, code: &str) -> Result<HeaderValue, Refusal> {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = codes.iter().position(|known| is_same(known, code)) else {
            return Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "unauthorised",
                "the code is wrong, or was used before",
            )
            .hint("open the link that `sidenote serve` prints; each opens the page once"));
        };
        codes.remove(place);
        drop(codes);
        let session = secret()?;
        remember(&self.sessions, session.clone(), MAX_SESSIONS);
        let cookie = format!("{}={session}; Path=/; HttpOnly; SameSite=Strict", self.cookie);
        HeaderValue::from_str(&cookie).map_err(|error| io::Error::other(error).into())
    }

    fn check(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !self.is_own(host) || headers.get_all(header::HOST).iter().count() != 1 {
            let hint = format!("this server is http://{}", self.address);
            return Err(Refusal::new(StatusCode::FORBIDDEN, "wrong_host", "the `Host` is not this server's").hint(hint));
        }
        let is_own_origin = |origin: &HeaderValue| {
            origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://")).is_some_and(|host| self.is_own(host))
        };
        // A page of another port is of the same site, and its cookies are ours.
        let is_foreign = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
        if !headers.get_all(header::ORIGIN).iter().all(is_own_origin) || is_foreign && path != "/" {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "foreign_origin",
                "requests of other sites are not answered",
            ));
        }
        if is_open(method, path) || self.has_token(headers) || self.has_session(headers) {
            return Ok(());
        }
        Err(Refusal::new(StatusCode::UNAUTHORIZED, "unauthorised", "the token is missing or wrong")
            .hint("send `Authorization: Bearer TOKEN`; `sidenote serve` says which file holds the token"))
    }

    fn is_own(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (scheme, token) = value.split_once(' ').unwrap_or_default();
        scheme.eq_ignore_ascii_case("bearer") && is_same(&self.token, token.trim())
    }

    fn has_session(&self, headers: &HeaderMap) -> bool {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().strip_prefix(&self.cookie)?.strip_prefix('='))
            .any(|given| sessions.iter().any(|session| is_same(session, given)))
    }
}

/// Whether a request needs no token.
pub(super) fn is_open(method: &Method, path: &str) -> bool {
    match path {
        "/" | "/app.js" | "/style.css" | "/health" => method == Method::GET || method == Method::HEAD,
        "/api/v1/session" => method == Method::POST,
        _ => false,
    }
}

/// 256 bits that nobody can guess, in hexadecimal.
///
/// # Errors
/// When the system has no random numbers.
pub fn secret() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn remember(list: &Mutex<VecDeque<String>>, value: String, most: usize) {
    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
    if list.len() == most {
        list.pop_front();
    }
    list.push_back(value);
}

/// Compares without saying by the time it takes where the first difference is. Nothing is not the same as nothing.
fn is_same(known: &str, given: &str) -> bool {
    !known.is_empty() && bool::from(known.as_bytes().ct_eq(given.as_bytes()))
}

/// Checks a request, and says in every response what a browser may do with it.
pub(super) async fn guard(State(server): State<Server>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let mut response = match server.inner.door.check(request.method(), path, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => openai::refuse(path, refusal),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-frame-options", "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> Door {
        Door::new(SocketAddr::from(([127, 0, 0, 1], 7878)), "secret".to_owned())
    }

    fn status(door: &Door, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(axum::http::HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        door.check(&Method::GET, path, &map).map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:7878");
    const TOKEN: (&str, &str) = ("authorization", "Bearer secret");

    #[test]
    fn a_foreign_host_or_origin_is_refused_whatever_else_it_knows() {
        let door = door();
        for host in ["attacker.example:7878", "127.0.0.1", "127.0.0.1:80", "localhost:7878.attacker.example", ""] {
            assert_eq!(status(&door, "/health", &[("host", host), TOKEN]), 403, "{host}");
        }
        assert_eq!(status(&door, "/health", &[TOKEN]), 403);
        assert_eq!(status(&door, "/health", &[HOST, HOST, TOKEN]), 403);
        for origin in ["https://attacker.example", "null", "http://127.0.0.1:9", "https://127.0.0.1:7878"] {
            assert_eq!(status(&door, "/api/v1/status", &[HOST, TOKEN, ("origin", origin)]), 403, "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert_eq!(status(&door, "/api/v1/status", &[HOST, TOKEN, ("sec-fetch-site", site)]), 403);
        }
        assert_eq!(status(&door, "/api/v1/status", &[HOST, TOKEN, ("sec-fetch-site", "same-origin")]), 200);
        assert_eq!(status(&door, "/", &[HOST, ("sec-fetch-site", "cross-site")]), 200, "a link may lead to the page");
    }

    #[test]
    fn what_is_private_needs_the_token() {
        let door = door();
        assert_eq!(status(&door, "/api/v1/status", &[HOST, TOKEN]), 200);
        assert_eq!(status(&door, "/api/v1/status", &[("host", "LOCALHOST:7878"), TOKEN]), 200);
        for path in ["/api/v1/status", "/v1/models", "/mcp", "/openapi.json", "//", "/health/", "/api/v1/session"] {
            assert_eq!(status(&door, path, &[HOST]), 401, "{path}");
            for wrong in ["Bearer", "Bearer ", "Bearer secre", "Bearer secrets", "Basic secret", "secret"] {
                assert_eq!(status(&door, path, &[HOST, ("authorization", wrong)]), 401, "{path} {wrong}");
            }
        }
        for path in ["/", "/app.js", "/style.css", "/health"] {
            assert_eq!(status(&door, path, &[HOST]), 200, "{path}");
        }
    }

    #[test]
    fn a_closed_door_lets_nobody_in() {
        let door = Door::closed();
        for token in ["Bearer", "Bearer ", "Bearer x"] {
            assert_eq!(status(&door, "/mcp", &[("host", "127.0.0.1:0"), ("authorization", token)]), 401);
        }
    }

    #[test]
    fn a_link_opens_the_page_once() {
        let door = door();
        let link = door.page_link().unwrap();
        let code = link.strip_prefix("http://127.0.0.1:7878/#code=").unwrap();
        assert!(door.open_session("").is_err() && door.open_session(&code[1..]).is_err());
        let cookie = door.open_session(code).unwrap();
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        assert!(door.open_session(code).is_err());
        let pair = cookie.split(';').next().unwrap();
        assert!(pair.starts_with("sidenote-7878="), "{pair}");
        assert_eq!(status(&door, "/api/v1/status", &[HOST, ("cookie", &format!("a=b; {pair}"))]), 200);
        assert_eq!(status(&door, "/api/v1/status", &[HOST, ("cookie", "sidenote-7878=")]), 401);
    }
}
